#include "media/video_sampling.h"

#include <algorithm>
#include <cmath>

#include "core/format.h"

namespace lmms::media {
namespace {

constexpr int64_t kPair = 2;  // FRAME_FACTOR

int64_t floor_even(double n) {
  return int64_t(std::floor(n / kPair)) * kPair;
}
int64_t ceil_even(int64_t n) {
  return (n + 1) / kPair * kPair;
}

/// First and last frame of the part that is looked at.
struct Range {
  int64_t first = 0, last = 0;
  int64_t count() const { return last - first + 1; }
};

Result<Range> range_of(const VideoInfo& video, const SamplingOptions& options) {
  Range range{0, video.frames - 1};
  const double duration = double(video.frames) / video.fps;
  const auto frame_at = [&](double seconds) {
    return std::clamp(seconds, 0.0, duration) * video.fps;
  };
  if (options.start) range.first = int64_t(std::ceil(frame_at(*options.start)));
  if (options.end)
    range.last = std::min(int64_t(std::floor(frame_at(*options.end))), video.frames - 1);
  if (range.first > range.last || range.first >= video.frames)
    return Fault{
        "",
        fmt::format("video: no frame between video_start {} and video_end {} seconds; it has "
                    "{} frames in {:.2f} seconds",
                    options.start ? fmt::format("{}", *options.start) : "none",
                    options.end ? fmt::format("{}", *options.end) : "none", video.frames, duration),
        "correct video_start and video_end"};
  return range;
}

/// smart_nframes, with the cases in which it raises brought to the nearest that can be.
int64_t count_of(int64_t total, double fps, const SamplingOptions& options) {
  const int64_t even_total = std::max(floor_even(double(total)), std::min<int64_t>(total, kPair));
  if (options.strategy == Sampling::frame_count) {
    const int64_t asked = ceil_even(std::max<int64_t>(options.frame_count, 1));
    return std::min(asked, even_total);
  }
  const double most = double(floor_even(double(options.max_frames)));
  double n = double(total) / fps * options.fps;
  n = std::min(std::min(std::max(n, double(ceil_even(options.min_frames))), most), double(total));
  return std::clamp(floor_even(n), std::min<int64_t>(total, kPair), even_total);
}

/// torch.linspace(first, last, n) in float32: from both ends towards the middle, each step a fused
/// multiply-add; then Tensor.round().
int64_t evenly(const Range& range, int64_t n, int64_t i) {
  const auto first = float(range.first), last = float(range.last);
  if (n == 1) return range.first;
  const float step = (last - first) / float(n - 1);
  const float at =
      i < n / 2 ? std::fmaf(step, float(i), first) : std::fmaf(-step, float(n - i - 1), last);
  return std::clamp(int64_t(std::nearbyintf(at)), range.first, range.last);
}

}  // namespace

Result<FrameChoice> choose_frames(const VideoInfo& video, const SamplingOptions& options) {
  if (video.frames < 1 || !(video.fps > 0))
    return Fault{"", fmt::format("video: {} frames at {} a second", video.frames, video.fps), ""};
  const Result<Range> range = range_of(video, options);
  if (!range) return range.fault();
  const int64_t n = count_of(range->count(), video.fps, options);
  FrameChoice choice;
  for (int64_t i = 0; i < n; ++i) choice.indices.push_back(evenly(*range, n, i));
  choice.sample_fps = double(n) / double(range->count()) * video.fps;
  const bool one_less = options.strategy == Sampling::frame_count && options.frame_count % kPair &&
                        n > options.frame_count;
  if (one_less) choice.indices.pop_back();
  return choice;
}

Result<Extent> loader_extent(Extent frame, int64_t frames, int factor, const FrameLimits& limits) {
  constexpr double kFrameTokens = 768, kContext = 128000, kShare = 0.9;
  const double height = frame.height, width = frame.width, unit = double(factor) * factor;
  if (std::max(height, width) / std::min(height, width) > 200)
    return Fault{
        "",
        fmt::format("video: frames of {} x {} pixels: their sides are in a ratio above 200",
                    frame.width, frame.height),
        "cut them, or set dataset_config.on_bad_sample: skip"};
  const double total = limits.total_pixels > 0 ? limits.total_pixels : kContext * unit * kShare;
  const double most =
      std::min(double(limits.max_pixels),
               std::max(std::min(kFrameTokens * unit, total / double(frames) * kPair),
                        std::floor(double(limits.min_pixels) * 1.05)));
  if (most < double(limits.min_pixels))
    return Fault{"",
                 fmt::format("video_max_pixels {} is less than video_min_pixels {}",
                             limits.max_pixels, limits.min_pixels),
                 "raise video_max_pixels or lower video_min_pixels"};
  const auto rounded = [&](double side) {
    return std::max<double>(factor, std::nearbyint(side / factor) * factor);
  };
  double h = rounded(height), w = rounded(width);
  if (h * w > most) {
    const double beta = std::sqrt(height * width / most);
    h = std::max<double>(factor, std::floor(height / beta / factor) * factor);
    w = std::max<double>(factor, std::floor(width / beta / factor) * factor);
  } else if (h * w < double(limits.min_pixels)) {
    const double beta = std::sqrt(double(limits.min_pixels) / (height * width));
    h = std::ceil(height * beta / factor) * factor;
    w = std::ceil(width * beta / factor) * factor;
  }
  if (!(h < 1 << 20 && w < 1 << 20))
    return Fault{"", fmt::format("video: frames would become {} x {} pixels", w, h),
                 "lower video_min_pixels"};
  return Extent{int(h), int(w)};
}

std::vector<double> timestamps(std::span<const int64_t> indices, double fps, int temporal) {
  std::vector<double> seconds;
  const size_t step = size_t(temporal);
  for (size_t i = 0; i < indices.size(); i += step) {
    const size_t last = std::min(i + step, indices.size()) - 1;
    seconds.push_back((double(indices[i]) / fps + double(indices[last]) / fps) / 2);
  }
  return seconds;
}

}  // namespace lmms::media
