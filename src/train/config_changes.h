#pragma once
/// How the config of a run that goes on differs from the one that its checkpoint was trained with.
#include <string>
#include <vector>

#include "train/config.h"

namespace lmms::train {

/// "trainer_args.learning_rate: 0.02, before: 0.01" for each key that bears on mathematics or the
/// order of data; when to log, save and evaluate, and what only makes things faster, is left out.
/// `before`: a resolved config.
std::vector<std::string> config_changes(const std::string& before, const TrainConfig& now);

}  // namespace lmms::train
