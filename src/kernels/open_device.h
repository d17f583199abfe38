#pragma once
/// The device that a command computes on.
#include <c10/core/Device.h>

#include <optional>
#include <string>

namespace lmms::kernels {

struct DeviceRequest {
  bool use_cpu = false;                          ///< the CPU, whatever the machine has
  int local_rank = 0;                            ///< which of the visible GPUs
  std::optional<std::string> visible_devices{};  ///< CUDA_VISIBLE_DEVICES, for what an error says
  std::string cuda_trouble{};  ///< why CUDA's library was wanted and could not be loaded
};

/// The GPU of this rank, or the CPU where it is asked for; made ready: a stream of our own on a
/// GPU, on a CPU the same bits in every run with this number of threads. Where the CPU was not
/// asked for, CUDA's library throws Error without a GPU, and the CPU's where it only stands in for
/// CUDA's; else the CPU's takes the CPU, with a warning if the machine has a GPU.
c10::Device open_device(const DeviceRequest& request);

}  // namespace lmms::kernels
