#include "train/peak_memory.h"

#include "kernels/device.h"

namespace lmms::train {

PeakMemory::PeakMemory(c10::Device device) : device_(device) {
  if (device.is_cpu()) host_.emplace();
}

int64_t PeakMemory::bytes() {
  return host_ ? host_->peak_bytes() : kernels::peak_memory_bytes(device_);
}

}  // namespace lmms::train
