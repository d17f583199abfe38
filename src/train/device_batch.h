#pragma once
/// From the host's batch to the device's.
#include <ATen/core/Tensor.h>

#include "data/batch.h"
#include "nn/batch.h"

namespace lmms::train {

/// Copies a micro-step to the device (from pinned memory, without waiting, on a GPU). Every weight
/// is divided by `denominator`. Throws Error if an id or target is outside [0, vocab_size): the
/// tokenizer and the model do not fit.
nn::Batch to_device(const data::Batch& batch, double denominator, int64_t vocab_size,
                    at::Device device);

}  // namespace lmms::train
