#include "models/llava_onevision/tiles.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/format.h"

namespace lmms::models::llava_onevision {

using media::Extent;
using media::Image;

namespace {

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

int64_t view_values(const TileOptions& options) {
  return media::tile_values({options.tile, options.tile}, options.patch);
}

void write_tiles(const Image& image, const Tiling& tiling, const TileOptions& options,
                 std::span<float> out) {
  const auto view = static_cast<size_t>(view_values(options));
  write_view(image, options, out.first(std::min(view, out.size())));
  const Image inner = resize(image, tiling.inner.width, tiling.inner.height, options.filter);
  const Image whole = padded(inner, tiling.best, (tiling.best.height - tiling.inner.height) / 2,
                             (tiling.best.width - tiling.inner.width) / 2, {0, 0, 0});
  media::write_tiles(whole, options.normalisation, {options.tile, options.tile}, options.patch,
                     out.subspan(view));
}

void write_square(const Image& image, const TileOptions& options, std::span<float> out) {
  std::array<uint8_t, 3> ground;
  for (size_t c = 0; c < 3; ++c) ground[c] = uint8_t(options.normalisation.mean[c] * 255);
  const int side = std::max(image.width(), image.height());
  write_view(
      padded(image, {side, side}, (side - image.height()) / 2, (side - image.width()) / 2, ground),
      options, out);
}

void write_view(const Image& image, const TileOptions& options, std::span<float> out) {
  media::write_tiles(resize(image, options.tile, options.tile, options.filter),
                     options.normalisation, {options.tile, options.tile}, options.patch, out);
}

}  // namespace lmms::models::llava_onevision
