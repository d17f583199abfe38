#pragma once
/// One frame at the size of its grid -> its place in the patches. For patches.cpp and
/// video_patches.cpp.
#include <span>

#include "media/patches.h"

namespace lmms::media {

/// Which frames of a patch are written: [first, first + count) of 0 ... temporal - 1.
struct Slots {
  int64_t first = 0, count = 1;
};

/// `out` is where one step of time of the grid begins: [h * w] patches in order of (h / merge, w /
/// merge, merge, merge), each [3, temporal, patch, patch].
void write_slots(const Image& frame, const PatchGrid& grid, const PatchOptions& options,
                 Slots slots, float* out);

/// The same for a frame of numbers, [height][width * 3].
void write_slots(std::span<const float> frame, const PatchGrid& grid, const PatchOptions& options,
                 Slots slots, float* out);

}  // namespace lmms::media
