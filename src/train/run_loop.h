#pragma once
/// The one loop: steps, metrics, evaluation and saves in their rhythm.
#include <memory>
#include <optional>

#include "core/error.h"
#include "data/loader.h"
#include "optim/schedule.h"
#include "train/data_setup.h"
#include "train/metrics.h"
#include "train/progress.h"
#include "train/saving.h"
#include "train/signals.h"
#include "train/step.h"

namespace lmms::train {

/// When evaluation, saves and log lines are due, in steps.
struct Rhythm {
  int64_t log = 1, save = 0, evaluate = 0;  ///< 0: never by steps
  bool log_first = false, save_epochs = false, evaluate_epochs = false;
};

/// From the config; shares of all steps need their number. Throws Error where it is not known.
Rhythm rhythm_of(const LoadedConfig& loaded, std::optional<int64_t> total_steps);

/// Everything a loop works on. All of it outlives the loop.
struct RunParts {
  const LoadedConfig& loaded;
  Network& network;
  const objectives::Objective& objective;
  data::Loader& loader;
  const RunData& data;
  const optim::Schedule& schedule;
  Saver& saver;
  Machine machine;
  c10::Device device;
};

/// Trains from `state` to the end, or until a signal or an error. Returns Exit::done or
/// Exit::interrupted; `state` is then the state that was saved last.
Exit run_loop(const RunParts& parts, RunState& state);

}  // namespace lmms::train
