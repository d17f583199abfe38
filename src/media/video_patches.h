#pragma once
/// Frames of a video -> the flat patches of a tower (Qwen2-VL to Qwen3-VL).
#include <optional>
#include <span>

#include "media/patches.h"
#include "media/video_sampling.h"

namespace lmms::media {

/// What PatchOptions::min_pixels and max_pixels limit in a video.
enum class PixelBudget {
  frame,  ///< each frame: Qwen2VLVideoProcessor, for Qwen2-VL and Qwen2.5-VL
  clip,   ///< all frames together: Qwen3VLVideoProcessor
};

/// How a video is prepared. Two ways:
/// - `loader` empty: as Hugging Face's video processor of transformers 5.17 does by itself. One
/// resize, on
///   bytes with integer weights, as images are resized. This is what a released model is used with.
/// - `loader` set: as the Python project does. qwen_vl_utils resizes first, within the limits of
///   dataset_config, in float32, rounded to bytes; then the video processor resizes the result
///   within `patches`' limits, in float32 without rounding. Mostly the first size already suits,
///   and the second step changes nothing.
struct ClipOptions {
  PatchOptions patches{};  ///< with the limits of the video processor
  PixelBudget budget = PixelBudget::frame;
  /// `max_video_tokens` under `cap_pixels_per_frame`: tokens that a frame takes at most (budget
  /// clip), or all frames together (budget frame).
  std::optional<int64_t> cap_tokens{};
  std::optional<FrameLimits> loader{};
};

/// Sizes of one video; needs the header of its file and the number of frames alone.
struct ClipPlan {
  int64_t frames = 0;
  Extent loaded;   ///< after qwen_vl_utils; of the file if there is no `loader`
  PatchGrid grid;  ///< t: frames / temporal, rounded up
};

/// A fault where limits or sides leave no size.
Result<ClipPlan> plan_clip(Extent frame, int64_t frames, const ClipOptions& options);

/// Writes what one frame (0 ... plan.frames - 1, of any size) adds to [grid.patches(),
/// patch_values]: patches in order of (t, h / merge, w / merge, merge, merge), each [3, temporal,
/// patch, patch]. The last frame is repeated to the end of its step of time. Once each frame was
/// written, `out` is complete; the order does not matter, and frames may be written by several
/// threads.
void write_clip_frame(const Image& frame, int64_t index, const ClipPlan& plan,
                      const ClipOptions& options, std::span<float> out);

/// All frames of a clip.
void write_video_patches(std::span<const Image> frames, const ClipPlan& plan,
                         const ClipOptions& options, std::span<float> out);

}  // namespace lmms::media
