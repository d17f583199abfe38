#pragma once
/// The one loop: steps, metrics, evaluation and saves at their intervals, whatever is trained.
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "core/error.h"
#include "data/loader.h"
#include "plan/memory_adviser.h"
#include "step/control_plane.h"
#include "step/step.h"
#include "train/data_fingerprints.h"
#include "train/data_setup.h"
#include "train/exhibit.h"
#include "train/journal_file.h"
#include "train/metrics.h"
#include "train/peak_memory.h"
#include "train/run_log.h"
#include "train/saving.h"

namespace lmms::train {

/// Everything a loop works on. All of it outlives the loop.
struct RunParts {
  const LoadedConfig& loaded;
  step::TrainState& trained;
  const objectives::Objective& objective;
  data::Loader& loader;
  const RunData& data;
  const Exhibits& exhibits;  ///< what an evaluation shows
  Saver& saver;
  const FingerprintTaker& fingerprints;
  JournalFile& journal;
  RunLog& run_log;
  step::ControlPlane& control;
  Machine machine;
  c10::Device device;
  const nn::RunContext& context;  ///< how units run at first
  const plan::MemoryAdviser& adviser;
  PeakMemory& memory;
};

/// Trains from `state` to the end, or until a signal or an error. Returns Exit::done or
/// Exit::interrupted; `state` is then the state that was saved last. Data that turn out to be bad
/// are thrown as Error once the steps before them are saved. `start` is the journal's record of
/// this start.
Exit run_loop(const RunParts& parts, RunState& state, const nlohmann::json& start);

}  // namespace lmms::train
