#include "kernels/device_nvml.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "core/format.h"

namespace lmms::kernels {
namespace {

// The C interface of NVML, as its public header declares it. It has kept these forms for years: a
// changed one gets a new name (_v2, _v3).
using Device = struct NvmlDevice*;
using Status = int;
constexpr Status kSuccess = 0;
constexpr Status kTooSmall = 7;

struct Memory {
  unsigned long long total, free, used;
};
struct Pci {
  char legacy[16];
  unsigned int domain, bus, device, device_id, subsystem_id;
  char id[32];
};
struct Process {
  unsigned int id;
  unsigned long long bytes;
  unsigned int instance, compute_instance;
};

class Library {
 public:
  Library() : handle_(::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {}
  ~Library() {
    if (handle_ != nullptr) ::dlclose(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  explicit operator bool() const { return handle_ != nullptr; }

  /// Calls a function of the library; kMissing if it has none of that name.
  static constexpr Status kMissing = -1;
  template <class... Args>
  Status call(const char* name, Args... args) const {
    using Function = Status (*)(Args...);
    const auto function = reinterpret_cast<Function>(::dlsym(handle_, name));
    return function == nullptr ? kMissing : function(args...);
  }
  std::string error(Status status) const {
    using Function = const char* (*)(Status);
    const auto text = reinterpret_cast<Function>(::dlsym(handle_, "nvmlErrorString"));
    return text != nullptr && status != kMissing ? text(status) : fmt::format("status {}", status);
  }

 private:
  void* handle_;
};

std::vector<GpuProcess> processes_of(const Library& nvml, Device device) {
  std::vector<Process> list(64);
  for (int attempt = 0; attempt < 3; ++attempt) {
    auto count = static_cast<unsigned int>(list.size());
    const Status status =
        nvml.call("nvmlDeviceGetComputeRunningProcesses_v3", device, &count, list.data());
    if (status == kTooSmall) {
      list.resize(count + 64);
      continue;
    }
    list.resize(status == kSuccess ? std::min<size_t>(count, list.size()) : 0);
    break;
  }
  constexpr unsigned long long kNotSaid = ~0ULL;
  std::vector<GpuProcess> out;
  out.reserve(list.size());
  for (const Process& p : list)
    out.push_back({p.id, p.bytes == kNotSaid ? 0 : static_cast<int64_t>(p.bytes)});
  return out;
}

NvmlGpu gpu_of(const Library& nvml, Device device) {
  NvmlGpu gpu;
  std::array<char, 96> name{};
  if (nvml.call("nvmlDeviceGetName", device, name.data(), 96U) == kSuccess) gpu.name = name.data();
  Pci pci{};
  if (nvml.call("nvmlDeviceGetPciInfo_v3", device, &pci) == kSuccess)
    gpu.pci = fmt::format("{:04x}:{:02x}:{:02x}.0", pci.domain, pci.bus, pci.device);
  Memory memory{};
  if (nvml.call("nvmlDeviceGetMemoryInfo", device, &memory) == kSuccess) {
    gpu.total_bytes = static_cast<int64_t>(memory.total);
    gpu.used_bytes = static_cast<int64_t>(memory.used);
  }
  constexpr int kUncorrected = 1, kSinceTheDriver = 0;
  unsigned long long errors = 0;
  if (nvml.call("nvmlDeviceGetTotalEccErrors", device, kUncorrected, kSinceTheDriver, &errors) ==
      kSuccess) {
    gpu.uncorrected_errors = static_cast<int64_t>(errors);
  }
  unsigned long long reasons = 0;
  if (nvml.call("nvmlDeviceGetCurrentClocksThrottleReasons", device, &reasons) == kSuccess)
    gpu.slowed_by = slowdown_names(reasons);
  gpu.processes = processes_of(nvml, device);
  return gpu;
}

}  // namespace

bool same_pci(const std::string& a, const std::string& b) {
  unsigned int x[3], y[3];
  return std::sscanf(a.c_str(), "%x:%x:%x", &x[0], &x[1], &x[2]) == 3 &&
         std::sscanf(b.c_str(), "%x:%x:%x", &y[0], &y[1], &y[2]) == 3 && x[0] == y[0] &&
         x[1] == y[1] && x[2] == y[2];
}

std::vector<std::string> slowdown_names(uint64_t reasons) {
  constexpr std::pair<uint64_t, const char*> kReasons[] = {
      {0x08, "the board's slowdown"},
      {0x20, "heat (by the driver)"},
      {0x40, "heat (by the board)"},
      {0x80, "the power brake"},
  };
  std::vector<std::string> out;
  for (const auto& [bit, name] : kReasons) {
    if ((reasons & bit) != 0) out.emplace_back(name);
  }
  return out;
}

NvmlFacts nvml_facts() {
  NvmlFacts facts;
  const Library nvml;
  if (!nvml) return facts;
  if (const Status status = nvml.call("nvmlInit_v2"); status != kSuccess) {
    facts.trouble = nvml.error(status);
    return facts;
  }
  facts.present = true;
  std::array<char, 96> version{};
  if (nvml.call("nvmlSystemGetDriverVersion", version.data(), 96U) == kSuccess)
    facts.driver = version.data();
  unsigned int count = 0;
  if (nvml.call("nvmlDeviceGetCount_v2", &count) != kSuccess) count = 0;
  for (unsigned int i = 0; i < count; ++i) {
    Device device = nullptr;
    if (nvml.call("nvmlDeviceGetHandleByIndex_v2", i, &device) == kSuccess)
      facts.gpus.push_back(gpu_of(nvml, device));
  }
  nvml.call("nvmlShutdown");
  return facts;
}

}  // namespace lmms::kernels
