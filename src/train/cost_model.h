#pragma once
/// What a model makes of data::CostModel.
#include "data/cost.h"
#include "models/model.h"
#include "train/config.h"
#include "train/device.h"

namespace lmms::train {

/// The polynomial that goes through the model's train_flops, in thousands of FLOPs. Exact where the
/// model's attention is causal over whole samples; windows of a tower count as full ones, a sliding
/// window as it is at some thousand tokens. Frozen parts cost their forward, and as much backward
/// as runs through them.
data::CostModel cost_model_of(const models::Model& model);

/// The same for the model that a config names, without memory for it; nothing is read but its
/// config.json. Throws Error.
data::CostModel cost_model_of(const LoadedConfig& loaded, const Place& place);

}  // namespace lmms::train
