#pragma once
/// The first acts of every command that needs model and data of a config.
#include <memory>
#include <optional>

#include "objectives/objective.h"
#include "train/data_setup.h"
#include "train/generation/answers.h"
#include "train/model_setup.h"

namespace lmms::train {

struct OpenedRun {
  ModelSource source;  ///< a structure, without memory
  std::unique_ptr<objectives::Objective> objective;
  RunData data;
  std::optional<Questions> questions;  ///< where eval_generate has some
};

/// Makes the model's structure and the objective, opens data sets and tokenizer, and checks that
/// they fit each other, that output_dir is none of the folders that are read, and that what
/// evaluations will read can be evaluated. Writes nothing. Throws Error.
OpenedRun open_run(const LoadedConfig& loaded, const Place& place);

}  // namespace lmms::train
