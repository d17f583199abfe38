#pragma once
/// The peak memory of a run: `peak_memory_bytes` of its metrics.
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

#include "core/memory_watch.h"

namespace lmms::train {

/// Of a run on a GPU what its tensors took there; on the CPU what the process took since this was
/// made, without the pages of data files that it has mapped.
class PeakMemory {
 public:
  explicit PeakMemory(c10::Device device);
  int64_t bytes();

 private:
  c10::Device device_;
  std::optional<MemoryWatch> host_;
};

}  // namespace lmms::train
