#pragma once
/// What a processor makes of a record: plain buffers, no tensors.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/attention_mode.h"
#include "core/media_kinds.h"
#include "core/patch_grid.h"

namespace lmms::data {

/// Target of a position that is not trained (HF's ignore index).
inline constexpr int32_t kIgnore = -100;

/// Where a record came from.
struct Origin {
  std::shared_ptr<const std::string> file;
  int64_t row = 0;  ///< counted from 1, as editors and error messages do

  /// "chats.jsonl:18233"
  std::string text() const { return (file ? *file : std::string("?")) + ":" + std::to_string(row); }
};

/// Empty where a record has no text at all.
struct TextPart {
  std::vector<int32_t> input_ids;  ///< [n]
  /// [3, n] time, height, width (M-RoPE); empty: 0, 1, 2, ... on every axis.
  std::vector<int32_t> position_ids;
  std::vector<int32_t>
      labels;  ///< [n], already shifted: labels[t] is the target of position t, or kIgnore
  std::vector<float> weights;  ///< [n] of each target in the loss, 0: not trained; empty: 1 for all
};

/// Media of one kind of a sample as their tower takes them, one after another in the order of their
/// tokens (images and videos: kVision).
struct MediaPart {
  std::string kind;
  std::vector<float> values;        ///< [P, values of a patch] `pixel_values`, say
  std::vector<PatchGrid> grids;     ///< `image_grid_thw`, `video_grid_thw`; together P patches
  std::vector<ViewLayout> layouts;  ///< one for each grid where the family needs it, else none
  std::vector<int32_t> tokens;  ///< [M] positions in the sample that take the features, ascending

  bool operator==(const MediaPart&) const = default;
};

/// A run of a sample's tokens that see each other in one way.
struct SampleSegment {
  int32_t length = 0;
  AttentionMode mode = AttentionMode::causal;
  int32_t role = 0;  ///< kernels/attention/attention_plan.h
};

/// What a sample adds to the denominators of loss terms, by the term's name.
using TermCounts = std::map<std::string, double>;

/// One training example. `extras` is for plugins.
struct Sample {
  Origin origin;
  TextPart text;
  MediaList<MediaPart> media;
  std::vector<SampleSegment> segments;  ///< together its length; empty: one, causal
  std::map<std::string, std::vector<float>> extras;
  TermCounts counts;  ///< beside its supervised tokens

  /// Positions: tokens of its text, media among them; without a text the tokens of its media.
  int64_t length() const;
  /// Targets that are trained.
  int64_t supervised() const;
  /// Of memory, about: what its buffers hold, and their headers.
  int64_t bytes() const;
};

}  // namespace lmms::data
