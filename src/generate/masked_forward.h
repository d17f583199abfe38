#pragma once
/// Hidden states of texts with masks in them: computed anew, or behind kept keys and values.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/sample.h"
#include "nn/cache.h"
#include "step/forward_model.h"

namespace lmms::generate {

/// A text of which some tokens are masks, and the block [from, to) that is filled in now.
struct MaskedText {
  const data::Sample* prompt = nullptr;  ///< its media, and positions where they are its own
  std::vector<int32_t> ids;
  int64_t from = 0, to = 0;
};

/// Hidden states of some positions of a text.
struct MaskedQuery {
  size_t text = 0;
  std::vector<int64_t> positions;  ///< ascending; where blocks are cached, of the current one
};

class MaskedForward {
 public:
  virtual ~MaskedForward() = default;
  /// [M, H], one query after another. `texts` are the same at every call, but for ids that changed
  /// since, inside of [from, to).
  virtual at::Tensor hidden(std::span<const MaskedText> texts,
                            std::span<const MaskedQuery> queries) = 0;
  /// All blocks are without masks, and what follows is of the next ones, of texts `on` alone
  /// (ascending). `texts` still have their old blocks.
  virtual void next_block(std::span<const MaskedText> texts, std::span<const int64_t> on) = 0;
};

/// Every call computes whole texts: each sees all of itself or, with trained_block > 0, all up to
/// the block that is filled in, every block itself and those before it.
std::unique_ptr<MaskedForward> whole_texts(const step::ForwardModel& forward,
                                           int64_t trained_block);

/// The same of texts of blocks, without media, that all begin at a block and are all in one of
/// trained_block tokens: blocks before it are computed once.
std::unique_ptr<MaskedForward> cached_blocks(const step::ForwardModel& forward,
                                             int64_t trained_block,
                                             std::span<const MaskedText> texts);

}  // namespace lmms::generate
