#pragma once
/// Samples of some rows -> one batch without padding between them.
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/batch.h"
#include "data/sample.h"

namespace lmms::data {

/// A row's samples, in order.
using RowSamples = std::vector<std::shared_ptr<const Sample>>;

/// Lays rows one after another, a segment for each sample, positions from 0 in each. If the tokens
/// are no multiple of `pad_multiple`, a last segment of weight 0 fills up (none in a batch without
/// tokens).
Batch collate(std::span<const RowSamples> rows, int64_t pad_multiple, int32_t pad_id);

/// Pads alone, as few as `pad_multiple` allows: what a rank runs in a micro-step that has no row
/// for it, so that it takes part where ranks work together. Nothing in it is trained.
Batch dummy_batch(int64_t pad_multiple, int32_t pad_id);

}  // namespace lmms::data
