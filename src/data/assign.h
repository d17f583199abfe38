#pragma once
/// Which rank trains which row of a step, and in which micro-step.
#include <cstdint>
#include <span>
#include <vector>

#include "core/media_kinds.h"

namespace lmms::data {

/// What an assignment may look at: the same on every rank.
struct RowDescriptor {
  int64_t length = 0;
  int64_t cost = 0;
  MediaCounts media{};  ///< patches of the kinds that it has
};

struct Assignment {
  int32_t rank = 0;
  int32_t micro_step = 0;
};

/// Round robin over ranks; each rank fills its micro-steps with `rows_per_micro_step` rows each, in
/// order. A pure function, so that every rank computes the same without talking.
std::vector<Assignment> assign(std::span<const RowDescriptor> rows, int32_t ranks,
                               int64_t rows_per_micro_step);

/// Micro-steps that every rank runs for a step of `rows` rows, at least 1; a rank without a row in
/// one runs a dummy_batch (collate.h).
int64_t micro_steps_of(int64_t rows, int32_t ranks, int64_t rows_per_micro_step);

}  // namespace lmms::data
