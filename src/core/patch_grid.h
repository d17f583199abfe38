#pragma once
/// How the patches of one image or video lie, and how they become tokens.
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

/// How the views of an image or video become tokens, for families whose tower sees views of one
/// size (LLaVA-OneVision): there a grid's t counts views.
struct ViewLayout {
  enum class Kind : uint8_t {
    single,  ///< an image in one view
    tiles,   ///< an image in tiles, behind a view of the whole
    frames   ///< of a video
  };
  Kind kind = Kind::single;
  /// tiles: of the image in pixels, before it was cut. What of its tiles is padding follows.
  int height = 0, width = 0;
  bool operator==(const ViewLayout&) const = default;
};

}  // namespace lmms
