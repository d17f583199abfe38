#pragma once
/// Pixels -> what a vision tower takes: flat patches (Qwen2-VL, Qwen2.5-VL, Qwen3-VL), tiles, or
/// planes (SigLIP), equal to Hugging Face's image processors on torchvision. Sizes and token counts
/// need the header of an image alone.
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/patch_grid.h"
#include "media/image.h"
#include "media/resize.h"

namespace lmms::media {

struct Extent {
  int height = 0, width = 0;
  bool operator==(const Extent&) const = default;
};

/// (value * rescale - mean) / std for each channel, in float32 in the processors' order of
/// operations.
struct Normalisation {
  std::array<double, 3> mean{0.48145466, 0.4578275, 0.40821073};  ///< OpenAI CLIP's
  std::array<double, 3> std{0.26862954, 0.26130258, 0.27577711};
  double rescale = 1.0 / 255;
};

/// Flat patches. Defaults are the class defaults of Qwen2VLImageProcessor; a checkpoint's
/// processor files decide.
struct PatchOptions {
  int patch = 14;    ///< side of a patch; Qwen3-VL: 16
  int merge = 2;     ///< patches a side that become one token
  int temporal = 2;  ///< frames in a patch; a still image is repeated
  int64_t min_pixels = 56 * 56;
  int64_t max_pixels = 28 * 28 * 1280;
  Filter filter = Filter::bicubic;
  Normalisation normalisation{};
};

/// The size nearest to `size` whose sides are multiples of `factor` and whose pixels are within the
/// limits. A fault for sides in a ratio above 200, and for limits that leave nothing.
Result<Extent> smart_resize(Extent size, int factor, int64_t min_pixels, int64_t max_pixels);

/// The grid of an image of this size (after its orientation is applied).
Result<PatchGrid> patch_grid(Extent size, const PatchOptions& options);

/// float32 values of one patch: 3 * temporal * patch * patch.
int64_t patch_values(const PatchOptions& options);

/// Resizes to `grid` (of patch_grid) and writes [grid.patches(), patch_values]: patches in order of
/// (h / merge, w / merge, merge, merge), each [3, temporal, patch, patch]. `out` has exactly that
/// many values.
void write_patches(const Image& image, const PatchGrid& grid, const PatchOptions& options,
                   std::span<float> out);

/// `image` on a ground of one colour and another size, its corner at (top, left).
Image padded(const Image& image, Extent size, int top, int left,
             const std::array<uint8_t, 3>& colour);

/// float32 values of a tile that write_tiles makes.
int64_t tile_values(Extent tile, int patch);

/// An image of whole tiles, normalised, tiles row by row: each as planes [3, height, width]; or
/// with `patch` > 0 as flat patches [height / patch * width / patch, 3 * patch * patch], row by
/// row, without the pixels at its right and lower border that fill no patch. `out` has exactly as
/// many values.
void write_tiles(const Image& image, const Normalisation& normalisation, Extent tile, int patch,
                 std::span<float> out);

/// [3, height, width], normalised (SigLIP's whole preparation after resize()).
void write_planes(const Image& image, const Normalisation& normalisation, std::span<float> out);

}  // namespace lmms::media
