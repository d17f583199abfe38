#pragma once
/// How the config of a run that goes on differs from the one that its checkpoint was trained with.
#include <string>
#include <vector>

#include "train/config.h"

namespace lmms::train {

/// One spelling for the same path: "./media", "media/".
std::string plain_path(const std::string& path);

/// What the paths of training data tell: all that is known of the data, or nothing where its
/// content is compared (train/data_fingerprints.h).
enum class Paths { are_data, content_is_compared };

/// "trainer_args.learning_rate: 0.02, before: 0.01" for each key that bears on mathematics or the
/// order of data; when to log, save and evaluate, and what only makes things faster, is left out.
/// When to evaluate, and on what, counts where the learning rate follows the evaluation. `before`:
/// a resolved config.
std::vector<std::string> config_changes(const std::string& before, const TrainConfig& now,
                                        Paths paths = Paths::are_data);

}  // namespace lmms::train
