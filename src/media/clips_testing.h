#pragma once
/// How two families take videos, one with limits a frame, one with limits of the whole clip.
#include "media/video_patches.h"

namespace lmms::media::testing {

/// The class defaults of Qwen2VLVideoProcessor and Qwen3VLVideoProcessor.
inline ClipOptions qwen2_vl_clip() {
  return {.patches = {.min_pixels = 128 * 28 * 28, .max_pixels = 28 * 28 * 768}};
}

inline ClipOptions qwen3_vl_clip() {
  return {.patches = {.patch = 16,
                      .min_pixels = 128 * 32 * 32,
                      .max_pixels = 32 * 32 * 768,
                      .normalisation = {.mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}}},
          .budget = PixelBudget::clip};
}

}  // namespace lmms::media::testing
