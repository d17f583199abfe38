#include "media/patch_image.h"

#include <algorithm>
#include <cmath>

namespace lmms::media {
namespace {

uint8_t byte_of(float value, const Normalisation& n, size_t channel) {
  const double pixel = (static_cast<double>(value) * n.std[channel] + n.mean[channel]) / n.rescale;
  return static_cast<uint8_t>(std::clamp(std::lround(pixel), 0L, 255L));
}

}  // namespace

Image image_of_patches(std::span<const float> patches, const PatchGrid& grid,
                       const PatchOptions& options, int64_t time) {
  const int side = options.patch;
  Image out(static_cast<int>(grid.w) * side, static_cast<int>(grid.h) * side);
  const auto area = static_cast<size_t>(side) * static_cast<size_t>(side);
  const size_t plane = area * static_cast<size_t>(options.temporal);  // of a channel of a patch
  const float* patch = patches.data() + static_cast<size_t>(time * grid.h * grid.w) * 3 * plane;
  const int64_t merge = options.merge;
  // patches in order of (h / merge, w / merge, merge, merge)
  for (int64_t block_y = 0; block_y < grid.h; block_y += merge) {
    for (int64_t block_x = 0; block_x < grid.w; block_x += merge) {
      for (int64_t i = 0; i < merge * merge; ++i, patch += 3 * plane) {
        const auto top = static_cast<int>(block_y + i / merge) * side;
        const auto left = static_cast<int>(block_x + i % merge) * side;
        for (int y = 0; y < side; ++y) {
          uint8_t* pixel = out.row(top + y) + static_cast<size_t>(left) * 3;
          for (int x = 0; x < side; ++x) {
            for (size_t c = 0; c < 3; ++c)
              *pixel++ = byte_of(patch[c * plane + static_cast<size_t>(y * side + x)],
                                 options.normalisation, c);
          }
        }
      }
    }
  }
  return out;
}

Image image_of_planes(std::span<const float> planes, Extent size,
                      const Normalisation& normalisation) {
  Image out(size.width, size.height);
  const size_t area = static_cast<size_t>(size.width) * static_cast<size_t>(size.height);
  const std::span<uint8_t> pixels = out.pixels();
  for (size_t i = 0; i < area; ++i) {
    for (size_t c = 0; c < 3; ++c)
      pixels[3 * i + c] = byte_of(planes[c * area + i], normalisation, c);
  }
  return out;
}

}  // namespace lmms::media
