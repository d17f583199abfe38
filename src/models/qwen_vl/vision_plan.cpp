#include "models/qwen_vl/vision_plan.h"

#include <algorithm>
#include <cmath>

namespace lmms::models::qwen_vl {
namespace {

// Appends the token at (row, column) of a frame that begins at token `first` and is w tokens wide.
void add_token(VisionPlan& plan, int64_t first, int64_t row, int64_t column, int64_t w,
               int64_t merge) {
  const int64_t token = first + row * w + column;
  plan.places[static_cast<size_t>(token)] = static_cast<int64_t>(plan.tokens.size());
  plan.tokens.push_back(token);
  for (int64_t y = 0; y < merge; ++y) {
    for (int64_t x = 0; x < merge; ++x) {
      plan.patches.push_back((token * merge + y) * merge + x);
      plan.rows.push_back(static_cast<int32_t>(row * merge + y));
      plan.columns.push_back(static_cast<int32_t>(column * merge + x));
    }
  }
}

// One axis: the two entries around, the first clamped by its own, and their weights, in fp32 as
// transformers computes them.
struct AxisTaps {
  int64_t entry[2];
  float weight[2];
};

AxisTaps axis_taps(int32_t index, int64_t size, int64_t side) {
  const float at = static_cast<float>(index) * static_cast<float>(side - 1) /
                   static_cast<float>(std::max<int64_t>(size - 1, 1));
  const float below = std::floor(at);
  const auto first = static_cast<int64_t>(below);
  return {{std::min(first, side - 1), std::min(first + 1, side - 1)},
          {1.0f - std::abs(at - below), 1.0f - std::abs(at - below - 1.0f)}};
}

}  // namespace

VisionPlan vision_plan(std::span<const PatchGrid> grids, int64_t merge, int64_t window) {
  VisionPlan plan;
  int64_t total = 0;
  for (const PatchGrid& g : grids) total += g.patches();
  plan.places.resize(static_cast<size_t>(total / (merge * merge)));
  plan.tokens.reserve(plan.places.size());
  plan.patches.reserve(static_cast<size_t>(total));
  int64_t first = 0;  // token that begins the frame
  for (const PatchGrid& g : grids) {
    const int64_t h = g.h / merge, w = g.w / merge;
    for (int64_t t = 0; t < g.t; ++t, first += h * w) {
      for (int64_t top = 0; top < h; top += window) {
        for (int64_t left = 0; left < w; left += window) {
          const int64_t bottom = std::min(h, top + window), right = std::min(w, left + window);
          for (int64_t row = top; row < bottom; ++row) {
            for (int64_t column = left; column < right; ++column)
              add_token(plan, first, row, column, w, merge);
          }
          plan.windows.push_back((bottom - top) * (right - left) * merge * merge);
        }
      }
      plan.frames.push_back(g.h * g.w);
    }
  }
  return plan;
}

PositionTaps position_taps(const VisionPlan& plan, std::span<const PatchGrid> grids, int64_t side) {
  PositionTaps taps;
  taps.entries.reserve(4 * plan.rows.size());
  taps.weights.reserve(4 * plan.rows.size());
  size_t place = 0;
  for (const PatchGrid& g : grids) {
    for (int64_t i = 0; i < g.patches(); ++i, ++place) {  // places never leave their image
      const AxisTaps row = axis_taps(plan.rows[place], g.h, side),
                     column = axis_taps(plan.columns[place], g.w, side);
      for (int y = 0; y < 2; ++y) {
        for (int x = 0; x < 2; ++x) {
          taps.entries.push_back(row.entry[y] * side + column.entry[x]);
          taps.weights.push_back(row.weight[y] * column.weight[x]);
        }
      }
    }
  }
  return taps;
}

}  // namespace lmms::models::qwen_vl
