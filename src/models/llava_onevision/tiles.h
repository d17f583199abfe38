#pragma once
/// Pixels -> the square views that LLaVA-OneVision's tower sees: tiles of an image behind a view of
/// the whole, an image in one view, frames of a video; equal to LlavaOnevisionImageProcessor and
/// LlavaOnevisionVideoProcessor of transformers 5.17 on torchvision. Sizes and token counts need
/// the header of an image alone.
#include <cstdint>
#include <span>
#include <vector>

#include "media/patches.h"

namespace lmms::models::llava_onevision {

/// How images are cut. Defaults are the class defaults of LlavaOnevisionImageProcessor.
struct TileOptions {
  int tile = 384;
  std::vector<media::Extent> pinpoints{};  ///< empty: all multiples of `tile` up to 6 x 6
  media::Filter filter = media::Filter::bicubic;
  media::Normalisation normalisation{};
  /// Side of the tower's patches: a view is written as flat patches [features_per_side^2, 3 * patch
  /// * patch], row by row, without the pixels at its right and lower border that fill no patch. 0:
  /// as planes [3, tile, tile].
  int patch = 0;
  int features_per_side = 27;  ///< of a tile: tile / the tower's patch size
  int most_tiles = 9;          ///< of "anyres_max_9": beyond it features are shrunk
};

/// How one image is cut.
struct Tiling {
  media::Extent best;   ///< the pinpoint
  media::Extent inner;  ///< the resized image, centred on it; the rest is black before normalising
  int rows = 0, columns = 0;
  /// Of the features of all tiles side by side, what is image and no padding, in the middle; the
  /// size to which it is shrunk, the same where it is small enough.
  media::Extent unpadded, shrunk;
  int64_t tokens = 0;  ///< base view, shrunk features of the tiles, one newline a row
  int tiles() const { return 1 + rows * columns; }  ///< with the base view
};

Result<Tiling> plan_tiles(media::Extent size, const TileOptions& options);

/// float32 values of one view.
int64_t view_values(const TileOptions& options);

/// Writes [tiling.tiles(), view_values]: the base view (the whole image, its aspect lost), then
/// tiles row by row.
void write_tiles(const media::Image& image, const Tiling& tiling, const TileOptions& options,
                 std::span<float> out);

/// One view of an image that has company: padded to a square with the mean colour.
void write_square(const media::Image& image, const TileOptions& options, std::span<float> out);

/// One view: the whole image, or a frame of a video, its aspect lost.
void write_view(const media::Image& image, const TileOptions& options, std::span<float> out);

}  // namespace lmms::models::llava_onevision
