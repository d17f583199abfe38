#pragma once
/// Which machine this is and which libraries run on it: for `lmms doctor` and for the report of a
/// run.
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lmms::inspect {

using NamedTexts = std::vector<std::pair<std::string, std::string>>;

/// lmms and every library under it with its version as it is loaded now: libtorch, Arrow, Parquet,
/// MKL, oneDNN, and in CUDA's library CUDA's runtime and driver, cuDNN, NCCL. In an order to
/// print. Never throws.
NamedTexts versions();

/// The machine as a run on `device` sees it: host, CPU, cores, instruction sets, memory, GPU,
/// system. In an order to print. Takes milliseconds, or what opening the GPU takes. Never throws.
NamedTexts machine(c10::Device device);

/// The CPU's side of a machine.
struct HostFacts {
  std::string name, system, kernel, libc;
  std::string cpu;                            ///< "AMD EPYC 9654"
  std::vector<std::string> instruction_sets;  ///< proc.h
  std::string torch_kernels;                  ///< "AVX512": the CPU kernels that libtorch chose
  int machine_cores = 0;                      ///< that the machine has
  int usable_cores = 0;                       ///< that this process may run on (affinity)
  std::optional<double> cgroup_cores;         ///< CPU time that its control group allows
  int math_threads = 0;                       ///< that libtorch uses for one operator
  double load = 0;                            ///< processes that ran on average in the last minute
  int64_t memory_bytes = 0;                   ///< of the machine
  int64_t free_bytes = 0;                     ///< that this process can still get
  std::optional<int64_t> memory_limit;        ///< of its control group
};
HostFacts host_facts();

/// "AMD EPYC, 96 cores, 12 of them usable" and so on: what machine() prints.
std::string cores_text(const HostFacts& host);

/// A setting in at::show_config() ("TORCH_VERSION"); empty if it is not there.
std::string build_setting(const std::string& show_config, const std::string& name);

}  // namespace lmms::inspect
