#include "models/llava_onevision/packing.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/format.h"

namespace lmms::models::llava_onevision {
namespace {

// The two entries of an axis around a place of the output, as interpolate(mode="bilinear",
// align_corners=False) takes them, in fp32.
struct AxisTaps {
  int64_t entry[2];
  float weight[2];
};

AxisTaps axis_taps(int64_t index, int64_t out, int64_t in) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  const float at = std::max(0.0f, scale * (static_cast<float>(index) + 0.5f) - 0.5f);
  const int64_t first = std::min(static_cast<int64_t>(at), in - 1);
  const float second = std::min(at - static_cast<float>(first), 1.0f);
  return {{first, std::min(first + 1, in - 1)}, {1.0f - second, second}};
}

enum class Piece { taken, mixed, newline };

class Packer {
 public:
  Packer(const TileOptions& tiles) : tiles_(tiles), side_(tiles.features_per_side) {}

  void add(const PatchGrid& grid, const ViewLayout& layout) {
    if (grid.h != side_ || grid.w != side_ || grid.t < 1)
      fail(grid, fmt::format("views of {} x {} patches", side_, side_));
    switch (layout.kind) {
      case ViewLayout::Kind::single:
        if (grid.t != 1) fail(grid, "one view of an image among others");
        view(first_);
        newline();
        break;
      case ViewLayout::Kind::tiles:
        tiles(grid, layout);
        break;
      case ViewLayout::Kind::frames:
        for (int64_t t = 0; t < grid.t; ++t) frame(first_ + t * side_ * side_);
        newline();
        break;
    }
    first_ += grid.patches();
  }

  Packing finish() {
    const auto taken = static_cast<int64_t>(packing_.taken.size()),
               mixed = static_cast<int64_t>(packing_.mixed.size()) / 4;
    int64_t next[3] = {0, taken, taken + mixed};
    packing_.order.reserve(pieces_.size());
    for (const Piece piece : pieces_) packing_.order.push_back(next[static_cast<size_t>(piece)]++);
    return std::move(packing_);
  }

 private:
  [[noreturn]] static void fail(const PatchGrid& grid, const std::string& wanted) {
    throw Error(
        "images",
        fmt::format("a grid of {} x {} x {} patches; expected {}", grid.t, grid.h, grid.w, wanted),
        "use the processor that belongs to the model");
  }
  void take(int64_t feature) {
    packing_.taken.push_back(feature);
    pieces_.push_back(Piece::taken);
  }
  void newline() {
    ++packing_.newlines;
    pieces_.push_back(Piece::newline);
  }
  void mix(const AxisTaps& y, const AxisTaps& x, const auto& feature_at) {
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 2; ++j) {
        packing_.mixed.push_back(feature_at(y.entry[i], x.entry[j]));
        packing_.weights.push_back(y.weight[i] * x.weight[j]);
      }
    }
    pieces_.push_back(Piece::mixed);
  }
  void view(int64_t first) {
    for (int64_t i = 0; i < side_ * side_; ++i) take(first + i);
  }
  void tiles(const PatchGrid& grid, const ViewLayout& layout) {
    if (layout.height < 1 || layout.width < 1) fail(grid, "an image of at least one pixel");
    const Tiling tiling = plan_tiles({layout.height, layout.width}, tiles_).take();
    if (grid.t != tiling.tiles()) {
      fail(grid, fmt::format("{} views of an image of {} x {} pixels", tiling.tiles(), layout.width,
                             layout.height));
    }
    view(first_);
    // The tiles as one picture: the place of its feature at (y, x), without the padding around.
    const int64_t top = (side_ * tiling.rows - tiling.unpadded.height) / 2,
                  left = (side_ * tiling.columns - tiling.unpadded.width) / 2;
    const auto feature_at = [&](int64_t y, int64_t x) {
      y += top;
      x += left;
      const int64_t tile = y / side_ * tiling.columns + x / side_;
      return first_ + ((1 + tile) * side_ + y % side_) * side_ + x % side_;
    };
    const media::Extent from = tiling.unpadded, to = tiling.shrunk;
    for (int64_t y = 0; y < to.height; ++y) {
      for (int64_t x = 0; x < to.width; ++x) {
        if (from == to) {
          take(feature_at(y, x));
        } else {
          mix(axis_taps(y, to.height, from.height), axis_taps(x, to.width, from.width), feature_at);
        }
      }
      newline();
    }
  }
  void frame(int64_t first) {
    const int64_t pooled = (side_ + 1) / 2;
    for (int64_t y = 0; y < pooled; ++y) {
      for (int64_t x = 0; x < pooled; ++x) {
        mix(axis_taps(y, pooled, side_), axis_taps(x, pooled, side_),
            [&](int64_t row, int64_t column) { return first + row * side_ + column; });
      }
    }
  }

  const TileOptions& tiles_;
  int64_t side_;
  int64_t first_ = 0;  // feature of the medium
  Packing packing_;
  std::vector<Piece> pieces_;
};

}  // namespace

Packing plan_packing(std::span<const PatchGrid> grids, std::span<const ViewLayout> layouts,
                     const TileOptions& tiles) {
  if (grids.size() != layouts.size()) {
    throw Error(
        "images",
        fmt::format("{} images and videos, {} of them with a layout", grids.size(), layouts.size()),
        "use the processor that belongs to the model");
  }
  Packer packer(tiles);
  for (size_t i = 0; i < grids.size(); ++i) packer.add(grids[i], layouts[i]);
  return packer.finish();
}

}  // namespace lmms::models::llava_onevision
