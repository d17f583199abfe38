#pragma once
/// From the host's batch to the device's.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "data/batch.h"
#include "models/model.h"
#include "nn/batch.h"

namespace lmms::step {

/// On a GPU the tokens of a micro-step are padded up to a multiple of this: few shapes, whole tiles
/// of products. The pad is a segment of its own without a target.
inline constexpr int64_t kGpuTokenGrain = 256;

/// Positions that the head is computed for, ascending, each with its target and weight.
struct Supervised {
  std::vector<int64_t> positions, targets;
  std::vector<float> weights;
};
/// Those that have a weight, which is divided by `denominator`; filled up to a multiple of
/// `multiple` with the first positions that have none (as long as there are some), of weight 0. A
/// batch without weights has none.
Supervised supervised_of(const data::Batch& batch, double denominator, int64_t multiple);

/// What ids and targets must be below: the vocabulary; no limit for a model without a language
/// head.
int64_t id_limit(const models::Model& model);

/// Copies a micro-step to the device (from pinned memory, without waiting, on a GPU). Every weight
/// is divided by `denominator`. Throws Error if an id or target is outside [0, vocab_size): the
/// tokenizer and the model do not fit.
nn::Batch to_device(const data::Batch& batch, double denominator, int64_t vocab_size,
                    at::Device device);

}  // namespace lmms::step
