#include "kernels/device_facts.h"

namespace lmms::kernels {

CudaFacts cuda_versions() {
  return {};
}
CudaFacts cuda_facts() {
  return {};
}
GpuFacts gpu_facts(int index) {
  GpuFacts gpu;
  gpu.index = index;
  gpu.trouble = "this program was built without CUDA";
  return gpu;
}

}  // namespace lmms::kernels
