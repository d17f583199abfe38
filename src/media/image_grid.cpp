#include "media/image_grid.h"

#include <algorithm>
#include <cmath>

#include "core/format.h"

namespace lmms::media {

int grid_columns(int groups, int size) {
  const double total = static_cast<double>(groups) * size;
  const double wanted = std::sqrt(1.2 * total);
  int best = 1;
  double least = HUGE_VAL;
  for (int in_a_row = 1; in_a_row <= groups; ++in_a_row) {
    const int columns = in_a_row * size;
    const int rows = (groups + in_a_row - 1) / in_a_row;
    const double empty = static_cast<double>(rows) * columns / total - 1;
    const double cost = std::abs(std::log(columns / wanted)) + 2 * empty;
    if (cost < least) {
      least = cost;
      best = columns;
    }
    if (columns > 4 * wanted) break;
  }
  return best;
}

int grid_scale(int side, int least) {
  return std::max(1, (least + side - 1) / side);
}

Image image_grid(std::span<const Image> images, const GridOptions& options) {
  constexpr int64_t kMostPixels = int64_t{1} << 30;
  const Image& first = images.front();
  const int count = static_cast<int>(images.size());
  const int columns = std::clamp(options.columns, 1, count);
  const int rows = (count + columns - 1) / columns;
  const int64_t wide = int64_t{first.width()} * columns + int64_t{options.gap} * (columns - 1);
  const int64_t high = int64_t{first.height()} * rows + int64_t{options.gap} * (rows - 1);
  if (wide * options.scale * high * options.scale > kMostPixels) {
    throw Error("grid",
                fmt::format("{} images make one of {} x {} pixels, too large", count,
                            wide * options.scale, high * options.scale),
                "ask for fewer images, or for one file each");
  }
  Image out(static_cast<int>(wide) * options.scale, static_cast<int>(high) * options.scale);
  std::ranges::fill(out.pixels(), options.shade);
  for (int i = 0; i < count; ++i) {
    const Image& image = images[static_cast<size_t>(i)];
    const int left = i % columns * (first.width() + options.gap) * options.scale;
    const int top = i / columns * (first.height() + options.gap) * options.scale;
    for (int y = 0; y < first.height() * options.scale; ++y) {
      const uint8_t* from = image.row(y / options.scale);
      uint8_t* to = out.row(top + y) + static_cast<ptrdiff_t>(left) * 3;
      for (int x = 0; x < first.width() * options.scale; ++x, to += 3)
        std::copy_n(from + static_cast<ptrdiff_t>(x / options.scale) * 3, 3, to);
    }
  }
  return out;
}

}  // namespace lmms::media
