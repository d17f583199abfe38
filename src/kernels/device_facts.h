#pragma once
/// What the build and the machine have for a GPU. device_facts_none.cpp answers in a build without
/// CUDA, device_facts_cuda.cpp in one with it. Nothing here throws: what fails is said in
/// `trouble`.
#include <cstdint>
#include <string>
#include <vector>

namespace lmms::kernels {

/// A GPU that this process may use, as the CUDA runtime sees it.
struct GpuFacts {
  int index = 0;     ///< in the order of CUDA_VISIBLE_DEVICES
  std::string name;  ///< "NVIDIA H100 80GB HBM3"
  std::string pci;   ///< "0000:18:00.0"
  int major = 0, minor = 0;
  int processors = 0;  ///< streaming multiprocessors
  int64_t total_bytes = 0, free_bytes = 0;
  std::string trouble;  ///< why the device cannot be used; empty if it can
};

/// The CUDA side of this program.
struct CudaFacts {
  bool built = false;     ///< false: the CPU's library, everything below is empty
  std::string runtime;    ///< "13.0", of the CUDA runtime in this program
  std::string supported;  ///< "13.0", the newest CUDA that the driver knows; empty: no driver
  std::string cudnn;      ///< "9.19.0"; empty if its library is absent
  std::string nccl;       ///< "2.28.9"
  std::string trouble;    ///< why no device can be used; empty if there is one
  int device_count = 0;   ///< GPUs that this process may use
  std::vector<GpuFacts> gpus;
};

/// Versions and the number of devices: opens none, `gpus` is empty.
CudaFacts cuda_versions();
/// Versions and every visible GPU. Opens each one, which takes some tenths of a second.
CudaFacts cuda_facts();
/// One GPU; opens it.
GpuFacts gpu_facts(int index);

}  // namespace lmms::kernels
