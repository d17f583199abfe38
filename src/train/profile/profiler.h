#pragma once
/// A trace of a few steps, as Chrome and Perfetto open it: `profile=true`.
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "train/config.h"
#include "train/profile/breakdown.h"

namespace lmms::train {

/// Which steps of a run are traced. As the Python project counts: `start_step` steps pass, one more
/// warms up, then end_step - start_step are recorded.
struct ProfiledSteps {
  int64_t first = 0, last = 0;
};
ProfiledSteps profiled_steps(const ProfilerConfig& config);

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

/// Traces the steps that a config asks for: `profile/trace.json` in the output folder, beside it
/// `profile/breakdown.json`; the breakdown is told to the user, too.
class StepProfiler {
 public:
  StepProfiler(const TrainerArgs& args, c10::Device device);
  void before(int64_t step);
  void after(int64_t step);
  /// At the end of the run, which may be shorter than what was asked for.
  void close();

 private:
  void finish();
  ProfiledSteps steps_;
  std::filesystem::path folder_;
  c10::Device device_;
  std::unique_ptr<Trace> trace_;
  int64_t done_ = 0;
};

}  // namespace lmms::train
