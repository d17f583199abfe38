#pragma once
/// What `lmms doctor` knows of a machine, and what it makes of it. The facts can describe any
/// machine; the rules are pure functions of them.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "inspect/machine/disk_speed.h"
#include "inspect/machine/facts.h"
#include "inspect/machine/finding.h"
#include "inspect/machine/kernel_choice.h"
#include "inspect/machine/run_needs.h"
#include "kernels/device_facts.h"
#include "kernels/device_nvml.h"
#include "kernels/gpu_visibility.h"

namespace lmms::inspect {

/// Limits of the process; absent is unlimited.
struct ProcessLimits {
  std::optional<int64_t> open_files, open_files_at_most;  ///< soft and hard
  std::optional<int64_t> locked_bytes, address_bytes, file_bytes;
};

struct SharedMemory {
  int64_t total_bytes = 0, free_bytes = 0;
};

struct DoctorFacts {
  NamedTexts versions;
  std::string torch_of_the_headers;  ///< "2.11.0": what this program was compiled against
  std::string torch_as_loaded;
  HostFacts host;
  kernels::CudaFacts cuda;
  kernels::NvmlFacts nvml;
  kernels::NvidiaTraces nvidia;
  ProcessLimits limits;
  std::optional<SharedMemory> shared_memory;  ///< absent: there is no /dev/shm
  int infiniband_devices = 0;
  bool gloo = false;                               ///< libtorch was built with it
  std::map<std::string, std::string> environment;  ///< variables that change how a run behaves
  std::string device;                              ///< name of the device that a run would take
  bool on_gpu = false;
  int device_index = 0;
  std::vector<KernelChoice> kernels;
  DiskFacts disk;
  std::optional<RunNeeds> run;  ///< with a config
};

/// All lines, in order of sections: program, CPU, memory and limits, GPU, communication, kernels,
/// disk, run.
std::vector<Finding> examine(const DoctorFacts& facts);
/// The parts of examine() about GPUs, and about a run with this config.
void examine_gpus(const DoctorFacts& facts, std::vector<Finding>& out);
void examine_run(const DoctorFacts& facts, std::vector<Finding>& out);

/// A variable of the environment; nullptr if it is not set.
const std::string* variable(const DoctorFacts& facts, const char* name);
/// Whether the config or the environment (LMMS_DEVICE=cpu) chooses the CPU.
bool asks_for_cpu(const DoctorFacts& facts);

}  // namespace lmms::inspect
