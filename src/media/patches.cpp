#include "media/patches.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/format.h"
#include "media/patch_writer.h"
#include "media/plane_band.h"

namespace lmms::media {
namespace {

void check_room(std::span<float> out, int64_t values, const char* where) {
  if (int64_t(out.size()) != values)
    throw Error("", fmt::format("{}: room for {} values, expected {}", where, out.size(), values),
                "", Exit::failed);
}

/// An image of whole tiles -> [rows * columns][3][height][width], tiles row by row; or with `patch`
/// > 0, each tile as [height / patch * width / patch][3][patch][patch].
void emit_tiles(const Image& image, const Normalisation& normalisation, int height, int width,
                int patch, float* out) {
  const PlaneKernels kernels = best_planes();
  const Channels channels = channels_of(normalisation);
  const int rows = patch > 0 ? height / patch : 1, columns = patch > 0 ? width / patch : 1;
  const int h = patch > 0 ? patch : height, w = patch > 0 ? patch : width;
  Band band(height, image.width());
  for (int y = 0; y < image.height(); y += height) {
    band.fill(kernels, image, y, height);
    for (int x = 0; x < image.width(); x += width)
      for (int row = 0; row < rows; ++row)
        for (int column = 0; column < columns; ++column)
          for (int c = 0; c < 3; ++c, out += int64_t{h} * w)
            kernels.emit(channels[c], band.at(c, row * h, x + column * w), band.step(), h, w, out);
  }
}

}  // namespace

Result<Extent> smart_resize(Extent size, int factor, int64_t min_pixels, int64_t max_pixels) {
  const double height = size.height, width = size.width;
  if (std::max(height, width) / std::min(height, width) > 200)
    return Fault{"",
                 fmt::format("an image of {} x {} pixels: its sides are in a ratio above 200",
                             size.width, size.height),
                 "cut it, or set dataset_config.on_bad_sample: skip"};
  // Python's round(): half to even, as nearbyint has it.
  double h = std::nearbyint(height / factor) * factor, w = std::nearbyint(width / factor) * factor;
  if (h * w > double(max_pixels)) {
    const double beta = std::sqrt(height * width / double(max_pixels));
    h = std::max<double>(factor, std::floor(height / beta / factor) * factor);
    w = std::max<double>(factor, std::floor(width / beta / factor) * factor);
  } else if (h * w < double(min_pixels)) {
    const double beta = std::sqrt(double(min_pixels) / (height * width));
    h = std::ceil(height * beta / factor) * factor;
    w = std::ceil(width * beta / factor) * factor;
  }
  if (!(h >= 1 && w >= 1 && h < 1 << 20 && w < 1 << 20))
    return Fault{"",
                 fmt::format("an image of {} x {} pixels becomes {} x {} under image_min_pixels {} "
                             "and image_max_pixels {}",
                             size.width, size.height, w, h, min_pixels, max_pixels),
                 fmt::format("raise image_min_pixels to {} at least", int64_t{factor} * factor)};
  return Extent{int(h), int(w)};
}

Result<PatchGrid> patch_grid(Extent size, const PatchOptions& options) {
  const Result<Extent> target =
      smart_resize(size, options.patch * options.merge, options.min_pixels, options.max_pixels);
  if (!target) return target.fault();
  return PatchGrid{1, target->height / options.patch, target->width / options.patch};
}

int64_t patch_values(const PatchOptions& options) {
  return int64_t{3} * options.temporal * options.patch * options.patch;
}

void write_patches(const Image& image, const PatchGrid& grid, const PatchOptions& options,
                   std::span<float> out) {
  check_room(out, grid.patches() * patch_values(options), "write_patches");
  const int height = int(grid.h) * options.patch, width = int(grid.w) * options.patch;
  const Slots all{.first = 0, .count = options.temporal};
  if (image.height() == height && image.width() == width)
    write_slots(image, grid, options, all, out.data());
  else
    write_slots(resize(image, width, height, options.filter), grid, options, all, out.data());
}

Image padded(const Image& image, Extent size, int top, int left,
             const std::array<uint8_t, 3>& colour) {
  Image out(size.width, size.height);
  for (uint8_t *to = out.pixels().data(), *end = to + out.pixels().size(); to < end; to += 3)
    std::memcpy(to, colour.data(), 3);
  for (int y = 0; y < image.height(); ++y)
    std::memcpy(out.row(top + y) + 3 * left, image.row(y), size_t(image.width()) * 3);
  return out;
}

int64_t tile_values(Extent tile, int patch) {
  const auto whole = [&](int side) { return int64_t{patch > 0 ? side / patch * patch : side}; };
  return 3 * whole(tile.height) * whole(tile.width);
}

void write_tiles(const Image& image, const Normalisation& normalisation, Extent tile, int patch,
                 std::span<float> out) {
  const int64_t tiles = int64_t{image.height() / tile.height} * (image.width() / tile.width);
  check_room(out, tiles * tile_values(tile, patch), "write_tiles");
  emit_tiles(image, normalisation, tile.height, tile.width, patch, out.data());
}

void write_planes(const Image& image, const Normalisation& normalisation, std::span<float> out) {
  check_room(out, int64_t{3} * image.width() * image.height(), "write_planes");
  emit_tiles(image, normalisation, image.height(), image.width(), 0, out.data());
}

}  // namespace lmms::media
