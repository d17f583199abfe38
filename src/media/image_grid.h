#pragma once
/// Many images as one.
#include <span>

#include "media/image.h"

namespace lmms::media {

struct GridOptions {
  int columns = 1;
  int gap = 2;         ///< pixels between images, before they are enlarged
  int scale = 1;       ///< every pixel becomes a square of so many
  uint8_t shade = 96;  ///< of the gaps and of cells without an image: seen on white and on black
};

/// Columns for `groups` groups of `size` images each that keep a group in one row and make a grid
/// about as wide as it is high.
int grid_columns(int groups, int size);
/// The scale that makes images of `side` pixels at least `least` pixels wide.
int grid_scale(int side, int least = 64);

/// Row by row. All images have the size of the first; there is at least one. Throws Error for a
/// grid of more than 2^30 pixels.
Image image_grid(std::span<const Image> images, const GridOptions& options);

}  // namespace lmms::media
