#pragma once
/// What a processor makes of a record: plain buffers, no tensors.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

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

struct TextPart {
  std::vector<int32_t> input_ids;  ///< [n]
  /// [3, n] time, height, width (M-RoPE); empty: 0, 1, 2, ... on every axis.
  std::vector<int32_t> position_ids;
  std::vector<int32_t>
      labels;  ///< [n], already shifted: labels[t] is the target of position t, or kIgnore
};

/// Images and videos of a sample as a vision tower takes them, one after another in the order of
/// their tokens.
struct SampleVision {
  std::vector<float> patches;    ///< [P, values of a patch] `pixel_values`, `pixel_values_videos`
  std::vector<PatchGrid> grids;  ///< `image_grid_thw`, `video_grid_thw`; together P patches
  std::vector<ViewLayout> layouts;  ///< one for each grid where the family needs it, else none
  std::vector<int32_t> tokens;  ///< [M] positions in the sample that take the features, ascending
};

/// One training example. Parts of other modalities join it as they are built; `extras` is for
/// plugins.
struct Sample {
  Origin origin;
  TextPart text;
  SampleVision vision;
  std::map<std::string, std::vector<float>> extras;

  int64_t length() const { return static_cast<int64_t>(text.input_ids.size()); }
};

}  // namespace lmms::data
