#pragma once
/// What the engine asks of a device. device_none.cpp answers in a build without CUDA,
/// device_cuda.cpp in one with it.
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

struct CUstream_st;

namespace lmms::kernels {

/// The GPU with this index if the build, the driver and the machine have one; else the CPU.
c10::Device best_device(int index);
/// "NVIDIA H100 80GB HBM3", or the CPU's model name.
std::string device_name(c10::Device device);
/// The largest number of bytes that tensors took on a GPU since the start; 0 on the CPU, where
/// core/memory_watch.h knows what the process took.
int64_t peak_memory_bytes(c10::Device device);
/// Memory of the whole device; on the CPU that of the machine.
int64_t total_memory_bytes(c10::Device device);
/// Gives back what the caching allocator holds and no tensor uses. Nothing on the CPU.
void release_unused_memory(c10::Device device);
/// Waits for everything that was launched. Nothing on the CPU.
void synchronize(c10::Device device);
/// Makes a stream of our own the current one of this thread, as the first act on the device.
void use_own_stream(c10::Device device);
CUstream_st* current_stream();
/// Calls `work` with a stream for copies as the current one; what is launched on the stream that
/// was current comes after it. Tensors that it makes must not be freed before the device is through
/// with them: their memory is given out again in the order of the copies. On the CPU just the call.
void on_copy_stream(c10::Device device, const std::function<void()>& work);
/// A mark in the current stream behind everything launched so far, and the wait for it. nullptr on
/// the CPU.
std::shared_ptr<void> record_event(c10::Device device);
void wait_event(const std::shared_ptr<void>& event);
/// Seconds on the device from one mark to a later one, both reached.
double seconds_between(const std::shared_ptr<void>& from, const std::shared_ptr<void>& to);
/// Throws Error naming `what` if the last kernel launch failed.
void check_last_launch(const char* what);

}  // namespace lmms::kernels
