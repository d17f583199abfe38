#include "inspect/machine/doctor.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <torch/headeronly/version.h>

#include <algorithm>

#include "core/launch.h"
#include "kernels/device.h"

namespace lmms::inspect {
namespace {

namespace fs = std::filesystem;

int count_entries(const fs::path& folder) {
  std::error_code failure;
  int count = 0;
  for (fs::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure))
    ++count;
  return count;
}

std::pair<std::optional<int64_t>, std::optional<int64_t>> limit(int resource) {
  const auto value = [](rlim_t n) {
    return n == RLIM_INFINITY || n > static_cast<rlim_t>(INT64_MAX)
               ? std::nullopt
               : std::optional(static_cast<int64_t>(n));
  };
  struct rlimit both {};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &both) != 0) return {};
  return {value(both.rlim_cur), value(both.rlim_max)};
}

ProcessLimits process_limits() {
  ProcessLimits limits;
  std::tie(limits.open_files, limits.open_files_at_most) = limit(RLIMIT_NOFILE);
  limits.locked_bytes = limit(RLIMIT_MEMLOCK).first;
  limits.address_bytes = limit(RLIMIT_AS).first;
  limits.file_bytes = limit(RLIMIT_FSIZE).first;
  return limits;
}

std::optional<SharedMemory> shared_memory() {
  struct statvfs room {};
  if (::statvfs("/dev/shm", &room) != 0) return std::nullopt;
  return SharedMemory{static_cast<int64_t>(room.f_blocks * room.f_frsize),
                      static_cast<int64_t>(room.f_bavail * room.f_frsize)};
}

void describe_device(DoctorFacts& facts, int local_rank) {
  const bool cpu = asks_for_cpu(facts);
  const c10::Device device = cpu ? c10::Device(c10::kCPU) : kernels::best_device(local_rank);
  facts.on_gpu = device.is_cuda();
  facts.device_index = facts.on_gpu ? device.index() : 0;
  facts.device = kernels::device_name(device);
  std::vector<c10::ScalarType> dtypes{c10::kBFloat16, c10::kFloat};
  if (facts.run) dtypes = {facts.run->bf16 ? c10::kBFloat16 : c10::kFloat};
  std::vector<KernelChoice> choices;
  for (const c10::ScalarType dtype : dtypes) {
    for (KernelChoice& choice : kernel_choices(device, dtype)) choices.push_back(std::move(choice));
  }
  facts.kernels = merged(choices);
}

}  // namespace

std::span<const char* const> doctor_variables() {
  static const std::vector<const char*> names = [] {
    std::vector<const char*> out = {
        "OMP_NUM_THREADS",      "OMP_WAIT_POLICY", "ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES",
        "CUDA_LAUNCH_BLOCKING", "LMMS_DEVICE",     "LMMS_CUDA_TROUBLE"};
    for (const char* name : launch_variables()) out.push_back(name);
    return out;
  }();
  return names;
}

Diagnosis diagnose(const DoctorRequest& request) {
  DoctorFacts facts;
  facts.run = request.run.needs;
  facts.environment = request.environment;
  facts.versions = versions();
  const std::string torch = at::show_config();
  facts.torch_as_loaded = build_setting(torch, "TORCH_VERSION");
  facts.torch_of_the_headers = TORCH_VERSION;
  facts.gloo = build_setting(torch, "USE_GLOO") == "ON";
  facts.host = host_facts();
  facts.nvml = kernels::nvml_facts();  // before this process is on a GPU itself
  facts.cuda = kernels::cuda_facts();
  facts.nvidia = kernels::nvidia_traces();
  if (facts.nvidia.driver.empty()) facts.nvidia.driver = facts.nvml.driver;
  facts.limits = process_limits();
  facts.shared_memory = shared_memory();
  facts.infiniband_devices = count_entries("/sys/class/infiniband");
  facts.disk =
      measure_disk(request.run.output, {.bytes = request.disk_speed ? DiskEffort{}.bytes : 0});
  describe_device(facts, request.local_rank);

  Diagnosis out;
  out.findings = examine(facts);
  out.config_faults = request.run.faults;
  const bool broken = std::any_of(out.findings.begin(), out.findings.end(),
                                  [](const Finding& f) { return f.severity == Severity::trouble; });
  if (!request.run.faults.empty())
    out.exit = request.run.exit;
  else if (broken)
    out.exit = Exit::failed;
  return out;
}

}  // namespace lmms::inspect
