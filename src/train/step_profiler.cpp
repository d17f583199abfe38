#include "train/step_profiler.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/files.h"
#include "core/format.h"
#include "core/log.h"

namespace lmms::train {

namespace fs = std::filesystem;

ProfiledSteps profiled_steps(const ProfilerConfig& config) {
  return {config.start_step + 2, config.end_step + 1};
}

StepProfiler::StepProfiler(const TrainerArgs& args, c10::Device device)
    : steps_(profiled_steps(args.profiler)),
      folder_(fs::path(args.output_dir) / "profile"),
      device_(device) {}

void StepProfiler::before(int64_t step) {
  if (trace_ || step < steps_.first || step > steps_.last) return;
  fs::create_directories(folder_);
  trace_ = std::make_unique<step::Trace>(device_);
  done_ = 0;
}

void StepProfiler::after(int64_t step) {
  if (!trace_) return;
  ++done_;
  if (step >= steps_.last) finish();
}

void StepProfiler::close() {
  if (trace_) finish();
}

void StepProfiler::finish() {
  const fs::path file = folder_ / "trace.json";
  const step::Breakdown breakdown = std::exchange(trace_, nullptr)->end(done_, file);
  write_atomically(folder_ / "breakdown.json", breakdown_json(breakdown).dump(2) + "\n");
  log::info(fmt::format("profiled {} steps: {} opens in Perfetto or chrome://tracing\n{}", done_,
                        file.string(), breakdown_text(breakdown)));
}

}  // namespace lmms::train
