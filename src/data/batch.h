#pragma once
/// What a step trains, on the host. Rows are laid one after another without padding: T tokens, S
/// segments.
#include <cstdint>
#include <vector>

#include "core/patch_grid.h"

namespace lmms::data {

/// How the tokens of a segment see each other.
enum class AttentionMode : uint8_t { causal, full, noise };

/// A run of tokens that attends within itself (and, by `group`, to others of its sample in later
/// modalities).
struct Segment {
  int32_t start = 0;
  int32_t length = 0;
  AttentionMode mode = AttentionMode::causal;
  int32_t sample = 0;  ///< index of the sample in the batch; -1 for the pad at the end
  int32_t group = 0;
  int32_t role = 0;
};

/// Images and videos of all samples of a batch, one after another in the order of their tokens.
struct VisionPart {
  std::vector<float> patches;       ///< [P, values of a patch]
  std::vector<PatchGrid> grids;     ///< together P patches
  std::vector<ViewLayout> layouts;  ///< one for each grid where the family needs it, else none
  std::vector<int64_t> rows;  ///< [M] the tokens of the batch that take the features, ascending
};

/// One micro-step of one rank.
struct Batch {
  std::vector<int32_t> input_ids;  ///< [T]
  std::vector<int32_t>
      labels;  ///< [T] target of each position, already shifted; 0 where weights is 0
  std::vector<float> weights;         ///< [T] weight of each target in the loss; 0: not trained
  std::vector<int32_t> position_ids;  ///< [T] from 0 in every segment; or [3, T] (M-RoPE)
  std::vector<Segment> segments;      ///< [S] in order; together they cover [0, T)
  VisionPart vision;
  /// Whether any rank has images or videos in this micro-step: the vision tower then runs on all of
  /// them, so that every rank runs the same modules in the same order.
  bool vision_somewhere = false;
  int64_t valid_tokens = 0;       ///< T without the pad; no statistic counts more
  int64_t supervised_tokens = 0;  ///< targets with weight > 0
  int64_t samples = 0;
  int64_t rows = 0;  ///< 0: a dummy, all weights 0

  int64_t tokens() const { return static_cast<int64_t>(input_ids.size()); }
};

}  // namespace lmms::data
