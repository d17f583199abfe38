#pragma once
/// `lmms eval`: what training's own evaluation would say of a checkpoint.
#include <string>

#include "train/config.h"
#include "train/evaluation.h"
#include "train/place.h"

namespace lmms::train {

/// The loss of a checkpoint (generate::locate_model) over the config's evaluation set, in the
/// config's number type and under its overwrite_config (a checkpoint of the run itself has it in
/// its own config.json already): to the bit what training said at that checkpoint, where its files
/// hold the weights to the bit. Throws Error.
EvaluationResult evaluate_checkpoint(const LoadedConfig& loaded, const std::string& checkpoint,
                                     const Place& place);

}  // namespace lmms::train
