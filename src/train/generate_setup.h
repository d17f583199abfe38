#pragma once
/// From `eval_generate` to the questions of an evaluation.
#include "generate/answers.h"
#include "train/config.h"
#include "train/data_setup.h"

namespace lmms::train {

/// `checkpoint_config`: config.json of the checkpoints that are trained. Throws Error for a prompt
/// that cannot be asked, and for one of the first rows, unless bad samples are skipped.
generate::Questions make_questions(const LoadedConfig& loaded, const RunData& data,
                                   const models::Model& model,
                                   const nlohmann::json& checkpoint_config);

}  // namespace lmms::train
