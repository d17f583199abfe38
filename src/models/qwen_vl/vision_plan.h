#pragma once
/// How the patches of a batch stand in the tower of Qwen2.5-VL: window by window, and which of them
/// see each other. Worked out on the host from the grids; no torch. Source: get_vision_window_index
/// and get_vision_position_ids of transformers 5.17, vision_utils.py.
#include <cstdint>
#include <span>
#include <vector>

#include "core/patch_grid.h"

namespace lmms::models::qwen_vl {

/// P patches enter in merge-block order: blocks of merge x merge patches that become one token, row
/// by row, frame by frame, image by image. M = P / merge^2 tokens.
struct VisionPlan {
  std::vector<int64_t> tokens;         ///< [M] the token that stands at each place of the tower
  std::vector<int64_t> places;         ///< [M] the inverse: where each token stands
  std::vector<int64_t> patches;        ///< [P] the same as `tokens`, of patches
  std::vector<int32_t> rows, columns;  ///< [P] of the patch at each place, in its image
  std::vector<int64_t> windows;        ///< patches of each window, in order; together P
  std::vector<int64_t> frames;         ///< patches of each frame, in order; together P
};

/// `window`: side of a window, in tokens; windows at the right and lower border are cut. Every h
/// and w must be a multiple of `merge`. Windows never span frames.
VisionPlan vision_plan(std::span<const PatchGrid> grids, int64_t merge, int64_t window);

/// Where the patches of images of any size fall in a square table of learned positions: bilinear
/// between the four entries around, corners on corners.
struct PositionTaps {
  std::vector<int64_t> entries;  ///< [P, 4] of the table
  std::vector<float> weights;    ///< [P, 4]
};
PositionTaps position_taps(const VisionPlan& plan, std::span<const PatchGrid> grids, int64_t side);

}  // namespace lmms::models::qwen_vl
