#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime.h>

#include "core/error.h"
#include "kernels/device.h"
#include "kernels/device_cpu.h"

namespace lmms::kernels {
namespace {

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw Error("", std::string(what) + ": " + cudaGetErrorString(error), "", Exit::failed);
}

cudaDeviceProp properties(c10::Device device) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, device.index()), "cudaGetDeviceProperties");
  return p;
}

}  // namespace

c10::Device best_device(int index) {
  if (c10::cuda::device_count() <= index) return c10::kCPU;
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

std::string device_name(c10::Device device) {
  return device.is_cuda() ? properties(device).name : cpu::name();
}

int64_t peak_memory_bytes(c10::Device device) {
  if (!device.is_cuda()) return 0;
  const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
  return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)]
      .peak;
}

int64_t total_memory_bytes(c10::Device device) {
  return device.is_cuda() ? static_cast<int64_t>(properties(device).totalGlobalMem)
                          : cpu::total_memory_bytes();
}

void release_unused_memory(c10::Device device) {
  if (device.is_cuda()) c10::cuda::CUDACachingAllocator::emptyCache();
}

void synchronize(c10::Device device) {
  if (device.is_cuda()) check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

void use_own_stream(c10::Device device) {
  if (!device.is_cuda()) return;
  c10::cuda::set_device(device.index());
  c10::cuda::setCurrentCUDAStream(
      c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index()));
}

CUstream_st* current_stream() {
  return c10::cuda::getCurrentCUDAStream().stream();
}

void on_copy_stream(c10::Device device, const std::function<void()>& work) {
  if (!device.is_cuda()) return work();
  static const c10::cuda::CUDAStream copies =
      c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index());
  std::shared_ptr<void> copied;
  {
    const c10::cuda::CUDAStreamGuard guard(copies);
    work();
    copied = record_event(device);
  }
  check(cudaStreamWaitEvent(current_stream(), static_cast<cudaEvent_t>(copied.get()), 0),
        "cudaStreamWaitEvent");
}

std::shared_ptr<void> record_event(c10::Device device) {
  if (!device.is_cuda()) return nullptr;
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  std::shared_ptr<void> owner(event,
                              [](void* e) { cudaEventDestroy(static_cast<cudaEvent_t>(e)); });
  check(cudaEventRecord(event, current_stream()), "cudaEventRecord");
  return owner;
}

void wait_event(const std::shared_ptr<void>& event) {
  if (event)
    check(cudaEventSynchronize(static_cast<cudaEvent_t>(event.get())), "cudaEventSynchronize");
}

double seconds_between(const std::shared_ptr<void>& from, const std::shared_ptr<void>& to) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(from.get()),
                             static_cast<cudaEvent_t>(to.get())),
        "cudaEventElapsedTime");
  return 1e-3 * static_cast<double>(milliseconds);
}

void check_last_launch(const char* what) {
  check(cudaGetLastError(), what);
}

}  // namespace lmms::kernels
