#include <ATen/detail/CUDAHooksInterface.h>
#include <cuda_runtime.h>

#include <exception>

#include "core/format.h"
#include "kernels/device_facts.h"

// Its header needs the headers of cuBLAS and cuSPARSE.
namespace torch::cuda::nccl {
std::uint64_t version();
}

namespace lmms::kernels {
namespace {

std::string cuda_version(int number) {
  return number <= 0 ? "" : fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

// major * 10000 + minor * 100 + patch since cuDNN 9, with 1000 for the major before.
std::string cudnn_version() {
  try {
    const long v = at::detail::getCUDAHooks().versionRuntimeCuDNN();
    const long unit = v >= 90000 ? 10000 : 1000;
    return fmt::format("{}.{}.{}", v / unit, v % unit / 100, v % 100);
  } catch (const std::exception&) {
    return "";  // its library is absent: the only question here
  }
}

std::string nccl_version() {
  const std::uint64_t v = torch::cuda::nccl::version();
  return fmt::format("{}.{}.{}", v >> 32, v >> 16 & 0xffff, v & 0xffff);
}

// The text of an error, which is then no longer the runtime's last one.
std::string said(const char* call, cudaError_t error) {
  cudaGetLastError();
  return fmt::format("{}: {}", call, cudaGetErrorString(error));
}

}  // namespace

CudaFacts cuda_versions() {
  CudaFacts facts;
  facts.built = true;
  int number = 0;
  if (cudaRuntimeGetVersion(&number) == cudaSuccess) facts.runtime = cuda_version(number);
  number = 0;
  if (cudaDriverGetVersion(&number) == cudaSuccess) facts.supported = cuda_version(number);
  facts.cudnn = cudnn_version();
  facts.nccl = nccl_version();
  if (const cudaError_t error = cudaGetDeviceCount(&facts.device_count); error != cudaSuccess) {
    facts.device_count = 0;
    facts.trouble = said("cudaGetDeviceCount", error);
  }
  return facts;
}

GpuFacts gpu_facts(int index) {
  GpuFacts gpu;
  gpu.index = index;
  cudaDeviceProp p{};
  if (const cudaError_t error = cudaGetDeviceProperties(&p, index); error != cudaSuccess) {
    gpu.trouble = said("cudaGetDeviceProperties", error);
    return gpu;
  }
  gpu.name = p.name;
  gpu.major = p.major;
  gpu.minor = p.minor;
  gpu.processors = p.multiProcessorCount;
  gpu.total_bytes = static_cast<int64_t>(p.totalGlobalMem);
  char pci[32] = {};
  if (cudaDeviceGetPCIBusId(pci, sizeof(pci), index) == cudaSuccess) gpu.pci = pci;
  int before = 0;
  cudaGetDevice(&before);
  size_t free = 0, total = 0;
  cudaError_t error = cudaSetDevice(index);
  if (error == cudaSuccess) error = cudaMemGetInfo(&free, &total);
  if (error != cudaSuccess) gpu.trouble = said("cudaMemGetInfo", error);
  gpu.free_bytes = static_cast<int64_t>(free);
  cudaSetDevice(before);
  cudaGetLastError();
  return gpu;
}

CudaFacts cuda_facts() {
  CudaFacts facts = cuda_versions();
  for (int i = 0; i < facts.device_count; ++i) facts.gpus.push_back(gpu_facts(i));
  return facts;
}

}  // namespace lmms::kernels
