#pragma once
/// `profile=true`: which steps of a run are traced, and where the trace goes.
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <memory>

#include "step/trace.h"
#include "train/config.h"

namespace lmms::train {

/// Which steps of a run are traced. As the Python project counts: `start_step` steps pass, one more
/// warms up, then end_step - start_step are recorded.
struct ProfiledSteps {
  int64_t first = 0, last = 0;
};
ProfiledSteps profiled_steps(const ProfilerConfig& config);

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
  std::unique_ptr<step::Trace> trace_;
  int64_t done_ = 0;
};

}  // namespace lmms::train
