#pragma once
/// Steps of a run on this machine's CPU, for their time: the real network with drawn weights,
/// trained for a moment and thrown away.
#include <optional>
#include <span>

#include "data/loader.h"
#include "nn/run_context.h"
#include "plan/planned_run.h"

namespace lmms::plan {

struct Trial {
  int64_t steps = 0;  ///< that were timed; more than there are batches: some came twice
  int64_t tokens = 0;
  double seconds = 0;
  int64_t peak_bytes = 0;  ///< that the process took beyond what it had before, by the kernel

  double seconds_a_step() const { return seconds / static_cast<double>(steps); }
};

/// One step of the first batch untimed, then `batches` in turn until `budget_seconds` are over, at
/// least one and at most `most` of them. Takes the memory of a run.
Trial try_steps(const PlannedRun& run, std::span<const data::StepBatch> batches,
                const nn::RunContext& context, double budget_seconds, int64_t most);

}  // namespace lmms::plan
