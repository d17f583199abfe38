#pragma once
/// The first acts of every command that needs model and data of a config.
#include <memory>

#include "objectives/objective.h"
#include "train/data_setup.h"
#include "train/exhibit.h"
#include "train/model_setup.h"
#include "train/references.h"

namespace lmms::train {

struct OpenedRun {
  ModelSource source;  ///< a structure, without memory
  std::shared_ptr<const objectives::Objective> objective;
  RunData data;
  ReferenceOpener open_references;
  Exhibits exhibits;  ///< what evaluations show: eval_generate, eval_sample
};

/// That of the config's trainer_type, checked against the model. `tokenizer`: null: the data are no
/// texts. Throws Error.
std::shared_ptr<const objectives::Objective> make_objective(const LoadedConfig& loaded,
                                                            const models::Model& model,
                                                            const text::Tokenizer* tokenizer);

/// Makes the model's structure and the objective, opens data sets and tokenizer, and checks that
/// they fit each other, that output_dir is none of the folders that are read, and that what
/// evaluations will read can be evaluated. Writes nothing. Throws Error.
OpenedRun open_run(const LoadedConfig& loaded, const Place& place);

}  // namespace lmms::train
