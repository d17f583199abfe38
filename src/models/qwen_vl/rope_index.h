#pragma once
/// Positions of the tokens of a sample with images and videos on three axes: time, height, width
/// (M-RoPE). Source: get_rope_index of transformers 5.17, modeling_qwen2_5_vl.py.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/patch_grid.h"

namespace lmms::models::qwen_vl {

/// One image or video of a sample, in the order of its tokens.
struct RopeMedia {
  PatchGrid grid;
  bool video = false;
  double seconds_per_grid = 1;  ///< video: time between two steps of the grid; cut to whole seconds
};

/// What of a model's config.json decides the positions.
struct RopeIndexConfig {
  int32_t image_token_id = 151655, video_token_id = 151656;
  int64_t merge = 2;              ///< spatial_merge_size: side of the block that makes one token
  int64_t tokens_per_second = 4;  ///< of vision_config
  /// Every frame of a video is a run of pad tokens of its own, with text (its time) around it, and
  /// is laid like an image: Qwen3-VL.
  bool frames_apart = false;
};

/// Rows t, h, w, each [T].
using RopePositions = std::array<std::vector<int32_t>, 3>;

/// Positions of one sample, from 0. A run of text counts on on all three axes. A medium of merged
/// grid (t, h, w) starts where the text before it ended: its tokens lie on the grid, time in steps
/// of 1 (a still image) or tokens_per_second * whole seconds_per_grid (a video), and the text
/// behind goes on max(h, w) later. Throws Error (`where` names the sample) if pad tokens and media
/// do not fit together.
RopePositions rope_index(std::span<const int32_t> ids, std::span<const RopeMedia> media,
                         const RopeIndexConfig& config, const std::string& where);

/// The position of the next token that generation appends: one past the highest.
int32_t next_position(const RopePositions& positions);

}  // namespace lmms::models::qwen_vl
