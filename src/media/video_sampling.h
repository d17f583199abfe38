#pragma once
/// Which frames of a video are taken, when they stand in time, and how large they become:
/// qwen_vl_utils 0.0.14 (smart_nframes, calculate_video_frame_range, fetch_video), as functions of
/// what a file says.
#include <cstdint>
#include <optional>
#include <vector>

#include "media/patches.h"
#include "media/video.h"

namespace lmms::media {

enum class Sampling {
  fps,          ///< so many frames for each second of the film
  frame_count,  ///< so many frames, whatever it lasts
};

struct SamplingOptions {
  Sampling strategy = Sampling::fps;
  double fps = 1;            ///< any positive number; the Python project takes whole ones alone
  int64_t min_frames = 2;    ///< under `fps`; rounded up to an even number
  int64_t max_frames = 768;  ///< under `fps`; rounded down to an even number
  int64_t frame_count = 64;  ///< under `frame_count`; see choose_frames
  std::optional<double> start{}, end{};  ///< seconds: the part of the film that is looked at
};

struct FrameChoice {
  std::vector<int64_t> indices;  ///< of the whole file, ascending; one may stand twice
  /// Frames a second of what was chosen: second_per_grid_ts of Qwen2.5-VL is temporal / sample_fps.
  double sample_fps = 0;
};

/// Chooses frames evenly over the film or its part; an even number of them, so that pairs fill the
/// patches. Rounding is that of torch.linspace in float32 and of Tensor.round (half to even).
///
/// Under `frame_count` an odd number is as the Python project has it: chosen for one more, and the
/// last left out. Where qwen_vl_utils fails we go on: a video of one frame gives that one, and one
/// with fewer frames than `frame_count` all that make an even number. A fault for a part that holds
/// no frame.
Result<FrameChoice> choose_frames(const VideoInfo& video, const SamplingOptions& options);

/// Limits of one frame in the data loader; the defaults are dataset_config's.
struct FrameLimits {
  int64_t min_pixels = 3136;
  int64_t max_pixels = 602112;
  /// Pixels of all frames together; 0: 90 % of 128,000 tokens of `factor` x `factor` pixels, which
  /// is qwen_vl_utils' default.
  double total_pixels = 0;
};

/// The size that qwen_vl_utils gives each of `frames` frames: sides multiples of `factor`, pixels
/// between the limits and at most max(min(768 factor^2, 2 / frames * total_pixels), 1.05
/// min_pixels). A fault for sides in a ratio above 200 and for limits that contradict each other.
Result<Extent> loader_extent(Extent frame, int64_t frames, int factor, const FrameLimits& limits);

/// Seconds at which each step of time of the grid stands, for Qwen3-VL's `<1.5 seconds>`: the mean
/// of its first and last frame's index / `fps`, where `fps` is the file's. The last index is
/// repeated until `temporal` divides their number.
std::vector<double> timestamps(std::span<const int64_t> indices, double fps, int temporal = 2);

}  // namespace lmms::media
