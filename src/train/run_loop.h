#pragma once
/// The one loop: steps, metrics, evaluation and saves in their rhythm.
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "core/error.h"
#include "data/loader.h"
#include "optim/learning_rate.h"
#include "train/data_fingerprints.h"
#include "train/data_setup.h"
#include "train/generation/answers.h"
#include "train/journal_file.h"
#include "train/metrics.h"
#include "train/plan/memory_adviser.h"
#include "train/progress.h"
#include "train/saving.h"
#include "train/signals.h"
#include "train/step.h"

namespace lmms::train {

/// When evaluation, saves and rows of metrics are due.
struct Rhythm {
  struct Beat {
    int64_t steps = 0;    ///< every so many; 0: not by steps
    bool epochs = false;  ///< at the end of each
  };
  Beat log, save, evaluate;
  bool log_first = false;
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
  const std::optional<Questions>& questions;
  optim::LearningRate& learning_rate;
  Saver& saver;
  const FingerprintTaker& fingerprints;
  JournalFile& journal;
  Machine machine;
  c10::Device device;
  const nn::RunContext& context;  ///< how units run at first
  const plan::MemoryAdviser& adviser;
};

/// Trains from `state` to the end, or until a signal or an error. Returns Exit::done or
/// Exit::interrupted; `state` is then the state that was saved last. Data that turn out to be bad
/// are thrown as Error once the steps before them are saved. `start` is the journal's record of
/// this start.
Exit run_loop(const RunParts& parts, RunState& state, const nlohmann::json& start);

}  // namespace lmms::train
