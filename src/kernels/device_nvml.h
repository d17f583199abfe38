#pragma once
/// What NVIDIA's management library says of the machine's GPUs, whoever uses them. It comes with
/// the driver and is opened at run time, so that a build without CUDA can ask as well.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lmms::kernels {

/// A process that computes on a GPU.
struct GpuProcess {
  int64_t id = 0;     ///< as the driver numbers it: not that of a container
  int64_t bytes = 0;  ///< of the GPU's memory; 0 if the driver does not say
};

/// A GPU of the machine; what a driver does not say is absent.
struct NvmlGpu {
  std::string name, pci;  ///< "0000:18:00.0"
  int64_t total_bytes = 0, used_bytes = 0;
  std::optional<int64_t> uncorrected_errors;  ///< of its memory, since the driver was loaded
  std::vector<std::string> slowed_by;         ///< heat or power, by which it runs slower now
  std::vector<GpuProcess> processes;
};

struct NvmlFacts {
  bool present = false;  ///< the library is there and its driver answers
  std::string driver;    ///< "580.95.05"
  std::string trouble;   ///< what it says if the driver does not answer
  std::vector<NvmlGpu> gpus;
};

/// Opens the library, asks, closes it. Never throws.
NvmlFacts nvml_facts();

/// Whether two PCI addresses are one, whatever the width of their domain ("00000000:18:00.0").
bool same_pci(const std::string& a, const std::string& b);
/// The reasons in NVML's bits that mean heat or too little power; a GPU at its power limit, or
/// idle, is well.
std::vector<std::string> slowdown_names(uint64_t reasons);

}  // namespace lmms::kernels
