#pragma once
/// What a model makes of data::CostModel.
#include "data/cost.h"
#include "models/model.h"

namespace lmms::step {

/// The polynomial that goes through the model's train_flops, in thousands of FLOPs. Exact where the
/// model's attention is causal over whole samples; windows of its towers count as full ones, a
/// sliding window as it is at some thousand tokens. Frozen parts cost their forward, and as much
/// backward as runs through them.
data::CostModel cost_model_of(const models::Model& model);

}  // namespace lmms::step
