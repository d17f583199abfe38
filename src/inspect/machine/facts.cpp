#include "inspect/machine/facts.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <arrow/config.h>
#include <gnu/libc-version.h>
#include <parquet/parquet_version.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "core/format.h"
#include "core/proc.h"
#include "core/units.h"
#include "core/version.h"
#include "inspect/machine/finding.h"
#include "kernels/device_facts.h"
#include "kernels/gpu_visibility.h"

namespace lmms::inspect {
namespace {

std::string system_text(const std::string& path) {
  return read_system_file(path).value_or("");
}

int affinity_cores() {
  for (int most = 1024; most <= 1 << 16; most *= 4) {  // too small a set is EINVAL
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(most),
                                                               [](cpu_set_t* s) { CPU_FREE(s); });
    const size_t bytes = CPU_ALLOC_SIZE(most);
    if (sched_getaffinity(0, bytes, set.get()) == 0) return CPU_COUNT_S(bytes, set.get());
  }
  return 0;
}

// "Intel(R) MKL-DNN v3.10.2 (Git Hash ...)" -> "3.10.2"
std::string number_in(const std::string& text) {
  for (size_t i = text.find_first_of("0123456789"); i != std::string::npos;
       i = text.find_first_of("0123456789", i)) {
    const size_t end = std::min(text.size(), text.find_first_not_of("0123456789.", i));
    if (text.find('.', i) < end) return text.substr(i, end - i);
    i = end;
  }
  return "";
}

}  // namespace

std::string build_setting(const std::string& show_config, const std::string& name) {
  for (size_t at = show_config.find(name + "="); at != std::string::npos;
       at = show_config.find(name + "=", at + 1)) {
    const char before = at == 0 ? ' ' : show_config[at - 1];
    if (before != ' ' && before != ',') continue;  // the end of a longer name
    const size_t begin = at + name.size() + 1;
    const size_t end = show_config.find_first_of(",\n", begin);
    return show_config.substr(begin, end - begin);
  }
  return "";
}

NamedTexts versions() {
  NamedTexts out;
  const auto add = [&](const char* name, const std::string& version) {
    if (!version.empty()) out.emplace_back(name, version);
  };
  const kernels::CudaFacts cuda = kernels::cuda_versions();
  add("lmms", fmt::format("{} ({})", kVersion, cuda.built ? "CUDA library" : "CPU library"));
  const std::string torch = at::show_config();
  std::string flavour = build_setting(torch, "CUDA_VERSION");
  std::erase(flavour, '.');
  add("libtorch",
      build_setting(torch, "TORCH_VERSION") + (flavour.empty() ? "+cpu" : "+cu" + flavour));
  add("Arrow", arrow::GetBuildInfo().version_string);
  add("Parquet",
      fmt::format("{}.{}.{}", PARQUET_VERSION_MAJOR, PARQUET_VERSION_MINOR, PARQUET_VERSION_PATCH));
  add("MKL", number_in(at::get_mkl_version()));
  add("oneDNN", number_in(at::get_mkldnn_version()));
  add("CUDA runtime", cuda.runtime);
  add("CUDA of the driver", cuda.supported);
  add("NVIDIA driver", kernels::nvidia_driver_version());
  add("cuDNN", cuda.cudnn);
  add("NCCL", cuda.nccl);
  add("compiler", fmt::format("GCC {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__));
  return out;
}

HostFacts host_facts() {
  HostFacts host;
  struct utsname system {};
  if (::uname(&system) == 0) {
    host.name = system.nodename;
    host.kernel = fmt::format("{} {} {}", system.sysname, system.release, system.machine);
  }
  host.system = parse_os_name(system_text("/etc/os-release"));
  host.libc = fmt::format("glibc {}", gnu_get_libc_version());
  const CpuText cpu = parse_cpuinfo(system_text("/proc/cpuinfo"));
  host.cpu = cpu.model.empty() ? "CPU" : cpu.model;
  host.instruction_sets = instruction_sets(cpu.flags);
  host.torch_kernels = at::get_cpu_capability();
  host.machine_cores = static_cast<int>(std::max<long>(1, ::sysconf(_SC_NPROCESSORS_ONLN)));
  host.usable_cores = affinity_cores();
  if (host.usable_cores <= 0) host.usable_cores = host.machine_cores;
  host.math_threads = at::get_num_threads();
  double load[1] = {};
  if (::getloadavg(load, 1) == 1) host.load = load[0];

  const MemoryText memory = parse_meminfo(system_text("/proc/meminfo"));
  host.memory_bytes = memory.total.value_or(static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) *
                                            static_cast<int64_t>(::sysconf(_SC_PAGESIZE)));
  host.free_bytes = memory.available.value_or(host.memory_bytes);
  const CgroupLimits group = cgroup_limits(system_text("/proc/self/cgroup"), read_system_file);
  host.cgroup_cores = group.cores;
  if (group.memory_bytes && *group.memory_bytes < host.memory_bytes) {
    host.memory_limit = group.memory_bytes;
    const int64_t left = *group.memory_bytes - group.used_bytes.value_or(0);
    host.free_bytes = std::clamp<int64_t>(left, 0, host.free_bytes);
  }
  return host;
}

std::string cores_text(const HostFacts& host) {
  std::string text = fmt::format("{}", host.machine_cores);
  if (host.usable_cores != host.machine_cores)
    text += fmt::format(", {} usable by this process", host.usable_cores);
  if (host.cgroup_cores && *host.cgroup_cores < host.usable_cores)
    text += fmt::format(", its control group allows the time of {:.3g}", *host.cgroup_cores);
  return text;
}

NamedTexts machine(c10::Device device) {
  const HostFacts host = host_facts();
  NamedTexts out;
  out.emplace_back("host", host.name);
  out.emplace_back("CPU", host.cpu);
  out.emplace_back("cores", cores_text(host));
  out.emplace_back("math threads", fmt::format("{}", host.math_threads));
  out.emplace_back(
      "instruction sets",
      fmt::format("{} (libtorch uses {})", comma_list(host.instruction_sets), host.torch_kernels));
  out.emplace_back(
      "memory",
      fmt::format("{}{}, {} free", size_text(host.memory_bytes),
                  host.memory_limit ? ", limited to " + size_text(*host.memory_limit) : "",
                  size_text(host.free_bytes)));
  if (device.is_cuda()) {
    const kernels::GpuFacts gpu = kernels::gpu_facts(device.index());
    out.emplace_back("GPU", gpu.trouble.empty()
                                ? fmt::format("{}, {}, compute capability {}.{}", gpu.name,
                                              size_text(gpu.total_bytes), gpu.major, gpu.minor)
                                : gpu.trouble);
    out.emplace_back("GPUs visible", fmt::format("{}", kernels::cuda_versions().device_count));
  }
  if (const std::string driver = kernels::nvidia_driver_version(); !driver.empty())
    out.emplace_back("NVIDIA driver", driver);
  out.emplace_back("system", fmt::format("{}, {}, {}", host.system, host.kernel, host.libc));
  return out;
}

}  // namespace lmms::inspect
