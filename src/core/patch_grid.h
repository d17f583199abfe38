#pragma once
/// How the patches of one image or video lie.
#include <cstdint>

namespace lmms {

/// Patches along time, height and width, before any merging (`image_grid_thw` of transformers). Two
/// frames make up one step of time in most families; a still image has t = 1.
struct PatchGrid {
  int64_t t = 1, h = 0, w = 0;

  int64_t patches() const { return t * h * w; }
  /// Where `merge` x `merge` patches of a frame become one token.
  int64_t tokens(int64_t merge) const { return patches() / (merge * merge); }
  bool operator==(const PatchGrid&) const = default;
};

}  // namespace lmms
