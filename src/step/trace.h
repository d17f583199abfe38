#pragma once
/// A trace of a few steps, as Chrome and Perfetto open it.
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>

#include "step/breakdown.h"

namespace lmms::step {

/// Records what this thread and its backward do, on host and device, between begin and end.
class Trace {
 public:
  explicit Trace(c10::Device device);
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Ends the recording (waits for the device), writes the trace to `file` atomically, and says
  /// where the time of its `steps` went. Throws Error if it cannot be written.
  Breakdown end(int64_t steps, const std::filesystem::path& file);

 private:
  c10::Device device_;
  bool open_ = true;
};

}  // namespace lmms::step
