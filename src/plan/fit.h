#pragma once
/// Which activations to make again in backward so that a step fits: `gradient_checkpointing: auto`.
#include <span>
#include <string>

#include "plan/rehearsal.h"

namespace lmms::plan {

struct Fit {
  nn::RunContext context;
  StepCost cost;          ///< of the batch that takes most
  std::string recompute;  ///< "nothing", "the MLPs of 12 of 28 model.layers.*, ..."
  bool fits = true;       ///< of least_recompute false: not even with everything run again
};

/// Bytes that tensors can have on a card: what it has, less what is reserved, and on a GPU a share
/// for what the caching allocator cannot use.
int64_t usable_bytes(const Card& card);

/// The batch of `batches` (at least one) that takes most, under `context`.
size_t largest(Rehearsal& rehearsal, std::span<const data::StepBatch> batches,
               const nn::RunContext& context);

/// A step of `batch` under `context`, and whether it takes at most `budget` bytes.
Fit fit_of(Rehearsal& rehearsal, const data::StepBatch& batch, const nn::RunContext& context,
           int64_t budget);

/// Starting from everything kept, lets the cheapest of units be made again (norms and activations,
/// MLPs, all), by seconds for a byte, until `batch` takes at most `budget` bytes: no more than it
/// needs. Of `context` the kernels are taken.
Fit least_recompute(Rehearsal& rehearsal, const data::StepBatch& batch,
                    const nn::RunContext& context, int64_t budget);

/// What a context runs again, in words.
std::string recompute_text(const nn::RunContext& context, std::span<const UnitGroup> groups);

}  // namespace lmms::plan
