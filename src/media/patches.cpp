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

void emit_tiles(const Image& image, const TileOptions& options, float* out) {
  emit_tiles(image, options.normalisation, options.tile, options.tile, options.patch, out);
}

std::vector<Extent> pinpoints_of(const TileOptions& options) {
  if (!options.pinpoints.empty()) return options.pinpoints;
  std::vector<Extent> all;
  for (int rows = 1; rows <= 6; ++rows)
    for (int columns = 1; columns <= 6; ++columns)
      all.push_back({rows * options.tile, columns * options.tile});
  return all;
}

/// select_best_resolution: most pixels that are really used, then least waste, then the first.
Extent best_pinpoint(Extent size, const std::vector<Extent>& pinpoints) {
  Extent best;
  int64_t most_used = 0, least_waste = INT64_MAX;
  for (const Extent p : pinpoints) {
    const double scale = std::min(double(p.width) / size.width, double(p.height) / size.height);
    const int64_t used = std::min(int64_t(size.width * scale) * int64_t(size.height * scale),
                                  int64_t{size.width} * size.height);
    const int64_t waste = int64_t{p.width} * p.height - used;
    if (used < most_used || (used == most_used && waste >= least_waste)) continue;
    most_used = used;
    least_waste = waste;
    best = p;
  }
  return best;
}

/// get_patch_output_size: the largest size of the image's aspect within `target`.
Extent fitted(Extent size, Extent target) {
  const double across = double(target.width) / size.width,
               down = double(target.height) / size.height;
  if (across < down)
    return {std::min(int(std::ceil(size.height * across)), target.height), target.width};
  return {target.height, std::min(int(std::ceil(size.width * down)), target.width)};
}

/// Python's int(round(x, 7)).
int whole_part(double x) {
  char text[64];
  std::snprintf(text, sizeof text, "%.7f", x);
  return int(std::strtod(text, nullptr));
}

/// LlavaOnevisionProcessor._get_number_of_features and the model's pack_image_features.
void plan_features(Extent size, const TileOptions& options, Tiling& tiling) {
  const int side = options.features_per_side;
  int height = side * tiling.rows, width = side * tiling.columns;
  if (double(size.width) / size.height > double(width) / height)
    height -= (height - whole_part(size.height * (double(width) / size.width))) / 2 * 2;
  else
    width -= (width - whole_part(size.width * (double(height) / size.height))) / 2 * 2;
  tiling.unpadded = tiling.shrunk = {height, width};
  const double ratio =
      std::sqrt(double(height) * width / (double(options.most_tiles) * side * side));
  if (ratio > 1.1)
    tiling.shrunk = {int(std::floor(height / ratio)), int(std::floor(width / ratio))};
  tiling.tokens = int64_t{side} * side + int64_t{tiling.shrunk.height} * (tiling.shrunk.width + 1);
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

Result<Tiling> plan_tiles(Extent size, const TileOptions& options) {
  Tiling tiling;
  tiling.best = best_pinpoint(size, pinpoints_of(options));
  if (tiling.best.height < 1 || tiling.best.height % options.tile ||
      tiling.best.width % options.tile)
    return Fault{"",
                 fmt::format("no pinpoint of whole {}-pixel tiles suits an image of {} x {} pixels",
                             options.tile, size.width, size.height),
                 "correct image_grid_pinpoints"};
  tiling.inner = fitted(size, tiling.best);
  tiling.rows = tiling.best.height / options.tile;
  tiling.columns = tiling.best.width / options.tile;
  plan_features(size, options, tiling);
  const bool vanishes = tiling.unpadded.height > 0 && tiling.unpadded.width > 0 &&
                        (tiling.shrunk.height < 1 || tiling.shrunk.width < 1);
  if (tiling.inner.height < 1 || tiling.inner.width < 1 || vanishes)
    return Fault{
        "", fmt::format("an image of {} x {} pixels is too narrow", size.width, size.height), ""};
  return tiling;
}

namespace {

/// `image` on a ground of another size, its corner at (top, left).
Image padded(const Image& image, Extent size, int top, int left,
             const std::array<uint8_t, 3>& color) {
  Image out(size.width, size.height);
  for (uint8_t *to = out.pixels().data(), *end = to + out.pixels().size(); to < end; to += 3)
    std::memcpy(to, color.data(), 3);
  for (int y = 0; y < image.height(); ++y)
    std::memcpy(out.row(top + y) + 3 * left, image.row(y), size_t(image.width()) * 3);
  return out;
}

}  // namespace

int64_t view_values(const TileOptions& options) {
  const int64_t side =
      options.patch > 0 ? options.tile / options.patch * options.patch : int64_t{options.tile};
  return 3 * side * side;
}

void write_tiles(const Image& image, const Tiling& tiling, const TileOptions& options,
                 std::span<float> out) {
  const int64_t view = view_values(options);
  check_room(out, tiling.tiles() * view, "write_tiles");
  write_view(image, options, out.first(static_cast<size_t>(view)));
  const Image inner = resize(image, tiling.inner.width, tiling.inner.height, options.filter);
  const Image whole = padded(inner, tiling.best, (tiling.best.height - tiling.inner.height) / 2,
                             (tiling.best.width - tiling.inner.width) / 2, {0, 0, 0});
  emit_tiles(whole, options, out.data() + view);
}

void write_square(const Image& image, const TileOptions& options, std::span<float> out) {
  std::array<uint8_t, 3> ground;
  for (int c = 0; c < 3; ++c) ground[c] = uint8_t(options.normalisation.mean[c] * 255);
  const int side = std::max(image.width(), image.height());
  write_view(
      padded(image, {side, side}, (side - image.height()) / 2, (side - image.width()) / 2, ground),
      options, out);
}

void write_view(const Image& image, const TileOptions& options, std::span<float> out) {
  check_room(out, view_values(options), "write_view");
  emit_tiles(resize(image, options.tile, options.tile, options.filter), options, out.data());
}

void write_planes(const Image& image, const Normalisation& normalisation, std::span<float> out) {
  check_room(out, int64_t{3} * image.width() * image.height(), "write_planes");
  emit_tiles(image, normalisation, image.height(), image.width(), 0, out.data());
}

}  // namespace lmms::media
