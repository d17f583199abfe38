#pragma once
/// Which token takes which feature: tiles side by side without their padding, shrunk where they are
/// many, a newline behind every row; pooled frames of videos. Worked out on the host; no torch.
/// Source: pack_image_features and apply_pooling of transformers 5.17, modeling_llava_onevision.py.
#include <cstdint>
#include <span>
#include <vector>

#include "core/patch_grid.h"
#include "models/llava_onevision/tiles.h"

namespace lmms::models::llava_onevision {

/// M tokens, each one of: a feature of the projector as it is, a mixture of four, the newline.
struct Packing {
  std::vector<int64_t> taken;  ///< [K] features that become tokens, each at most once
  std::vector<int64_t> mixed;  ///< [X, 4] features around a place between them
  std::vector<float> weights;  ///< [X, 4]
  int64_t newlines = 0;
  /// [M] of the K + X + newlines pieces one kind after another, in the order of the tokens.
  std::vector<int64_t> order;
};

/// Views of features_per_side^2 features each, one after another. Throws Error if layouts and grids
/// are not of the same number, or a grid has not as many views as its layout.
Packing plan_packing(std::span<const PatchGrid> grids, std::span<const ViewLayout> layouts,
                     const TileOptions& tiles);

}  // namespace lmms::models::llava_onevision
