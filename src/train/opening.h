#pragma once
/// The first acts of every command that needs model and data of a config.
#include <memory>
#include <optional>

#include "generate/answers.h"
#include "objectives/objective.h"
#include "train/data_setup.h"
#include "train/model_setup.h"

namespace lmms::train {

struct OpenedRun {
  ModelSource source;  ///< a structure, without memory
  std::shared_ptr<const objectives::Objective> objective;
  RunData data;
  std::optional<generate::Questions> questions;  ///< where eval_generate has some
};

/// That of the config's trainer_type.
std::shared_ptr<const objectives::Objective> make_objective(const LoadedConfig& loaded);

/// Makes the model's structure and the objective, opens data sets and tokenizer, and checks that
/// they fit each other, that output_dir is none of the folders that are read, and that what
/// evaluations will read can be evaluated. Writes nothing. Throws Error.
OpenedRun open_run(const LoadedConfig& loaded, const Place& place);

}  // namespace lmms::train
