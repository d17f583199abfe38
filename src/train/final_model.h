#pragma once
/// The model that stands in the output folder once a run has ended.
#include <cstdint>
#include <optional>

#include "train/saving.h"

namespace lmms::train {

/// Writes it, and tells which it is where the config asks for the best: that of the best checkpoint
/// under load_best_model_at_end, else that of the last step. Returns the step of the former where
/// it is another one.
std::optional<int64_t> publish_final_model(const Saver& saver, const TrainerArgs& args,
                                           const RunState& state);

/// Of a run that is finished: whether its folder holds the model that the config asks for.
bool holds_final_model(const TrainerArgs& args, const RunState& state);

}  // namespace lmms::train
