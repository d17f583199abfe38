#pragma once
/// What a vision tower takes -> pixels, for people to look at: what is left of an image.
#include <cstdint>
#include <span>

#include "media/patches.h"

namespace lmms::media {

/// The frame at `time` (of the grid's t; of the frames that share a patch the first) of patches as
/// write_patches lays them out: [grid.w * patch, grid.h * patch] pixels, normalisation undone.
Image image_of_patches(std::span<const float> patches, const PatchGrid& grid,
                       const PatchOptions& options, int64_t time = 0);

/// An image of planes [3, height, width], as write_planes and write_tiles lay them out.
Image image_of_planes(std::span<const float> planes, Extent size,
                      const Normalisation& normalisation);

}  // namespace lmms::media
