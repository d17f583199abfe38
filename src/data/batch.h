#pragma once
/// What a step trains, on the host. Rows are laid one after another without padding: T tokens, S
/// segments.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/attention_mode.h"
#include "core/media_kinds.h"
#include "core/patch_grid.h"
#include "data/sample.h"

namespace lmms::data {

/// A run of tokens that see each other in one way, and others of their sample by the rule of
/// kernels/attention/attention_plan.h.
struct Segment {
  int32_t start = 0;
  int32_t length = 0;
  AttentionMode mode = AttentionMode::causal;
  int32_t sample = 0;  ///< index of the sample in the batch; -1 for the pad at the end
  int32_t role = 0;

  bool operator==(const Segment&) const = default;
};

/// Media of one kind of all samples of a batch, one after another in the order of their tokens.
struct PackedMedia {
  std::string kind;
  std::vector<float> values;        ///< [P, values of a patch]
  std::vector<PatchGrid> grids;     ///< together P patches
  std::vector<ViewLayout> layouts;  ///< one for each grid where the family needs it, else none
  std::vector<int64_t> rows;  ///< [M] the tokens of the batch that take the features, ascending

  /// Other ranks have some of this kind in this micro-step, this one has none.
  bool empty() const { return grids.empty(); }
  bool operator==(const PackedMedia&) const = default;
};

/// Numbers of which every sample has a count of its own, perhaps 0.
struct RaggedExtra {
  std::vector<float> values;     ///< one sample after another
  std::vector<int64_t> lengths;  ///< of each sample

  bool operator==(const RaggedExtra&) const = default;
};

/// One micro-step of one rank.
struct Batch {
  std::vector<int32_t> input_ids;  ///< [T]; the pad's id where a sample has no text
  std::vector<int32_t>
      labels;  ///< [T] target of each position, already shifted; 0 where weights is 0
  std::vector<float> weights;         ///< [T] weight of each target in the loss; 0: not trained
  std::vector<int32_t> position_ids;  ///< [T] from 0 in every sample; or [3, T] (M-RoPE)
  std::vector<Segment> segments;      ///< [S] in order; together they cover [0, T)
  /// A part for each kind that any rank has in this micro-step, so that every rank runs the same
  /// towers in the same order.
  MediaList<PackedMedia> media;
  std::map<std::string, RaggedExtra> extras;  ///< of each name that a sample has
  TermCounts counts;                          ///< sums over its samples
  int64_t valid_tokens = 0;                   ///< T without the pad; no statistic counts more
  int64_t supervised_tokens = 0;              ///< targets with a weight
  int64_t samples = 0;
  int64_t rows = 0;  ///< 0: a dummy, all weights 0

  int64_t tokens() const { return static_cast<int64_t>(input_ids.size()); }
};

}  // namespace lmms::data
