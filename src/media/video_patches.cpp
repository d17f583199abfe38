#include "media/video_patches.h"

#include <algorithm>
#include <cmath>

#include "core/format.h"
#include "media/patch_writer.h"
#include "media/resize_float.h"

namespace lmms::media {
namespace {

/// Qwen3VLVideoProcessor's smart_resize: the limits are those of all frames.
Result<Extent> clip_extent(Extent frame, int64_t frames, const PatchOptions& options) {
  const int factor = options.patch * options.merge;
  const auto count = double(std::max<int64_t>(frames, options.temporal));
  double height = frame.height, width = frame.width;
  if (height < factor || width < factor) {
    const double scale = std::max(factor / height, factor / width);
    height = std::floor(height * scale);
    width = std::floor(width * scale);
  }
  if (std::max(height, width) / std::min(height, width) > 200)
    return Fault{
        "",
        fmt::format("video: frames of {} x {} pixels: their sides are in a ratio above 200",
                    frame.width, frame.height),
        "cut them, or set dataset_config.on_bad_sample: skip"};
  double h = std::nearbyint(height / factor) * factor, w = std::nearbyint(width / factor) * factor;
  const double t = std::nearbyint(count / options.temporal) * options.temporal;
  if (t * h * w > double(options.max_pixels)) {
    const double beta = std::sqrt(count * height * width / double(options.max_pixels));
    h = std::max<double>(factor, std::floor(height / beta / factor) * factor);
    w = std::max<double>(factor, std::floor(width / beta / factor) * factor);
  } else if (t * h * w < double(options.min_pixels)) {
    const double beta = std::sqrt(double(options.min_pixels) / (count * height * width));
    h = std::ceil(height * beta / factor) * factor;
    w = std::ceil(width * beta / factor) * factor;
  }
  if (!(h < 1 << 20 && w < 1 << 20))
    return Fault{"", fmt::format("video: frames would become {} x {} pixels", w, h),
                 "lower video_min_pixels"};
  return Extent{int(h), int(w)};
}

/// The most pixels, of a frame or of all frames as `budget` has it: `cap_pixels_per_frame` of the
/// two classes. A frame keeps 1.05 times the least.
int64_t most_pixels(int64_t frames, const ClipOptions& options) {
  const PatchOptions& p = options.patches;
  if (!options.cap_tokens) return p.max_pixels;
  const auto count = double(frames), most = double(p.max_pixels);
  const double cap = double(*options.cap_tokens) * p.patch * p.merge * p.patch * p.merge;
  const double least = std::floor(double(p.min_pixels) * 1.05);
  if (options.budget == PixelBudget::clip)
    return int64_t(count * std::max(std::min(cap, std::floor(most / count)), least));
  const double share = std::floor(std::floor(cap * 0.9) * p.temporal / count);
  return int64_t(std::max(std::min(most, share), least));
}

/// A frame at the size of the grid, in bytes; or, where the second resize of the loader's way
/// changes the size, in numbers.
struct Prepared {
  const Image* bytes = nullptr;
  Image resized;
  std::vector<float> numbers;  // [height][width * 3]
};

Prepared prepare(const Image& frame, const ClipPlan& plan, const ClipOptions& options) {
  const int height = int(plan.grid.h) * options.patches.patch;
  const int width = int(plan.grid.w) * options.patches.patch;
  Prepared out;
  out.bytes = &frame;
  const auto is = [&](const Image& image, int h, int w) {
    return image.height() == h && image.width() == w;
  };
  if (!options.loader) {
    if (is(frame, height, width)) return out;
    out.resized = resize(frame, width, height, options.patches.filter);
    out.bytes = &out.resized;
    return out;
  }
  if (!is(frame, plan.loaded.height, plan.loaded.width)) {
    out.resized = resize_rounded(frame, plan.loaded.width, plan.loaded.height);
    out.bytes = &out.resized;
  }
  if (!is(*out.bytes, height, width)) out.numbers = resize_unrounded(*out.bytes, width, height);
  return out;
}

}  // namespace

Result<ClipPlan> plan_clip(Extent frame, int64_t frames, const ClipOptions& options) {
  PatchOptions patches = options.patches;
  const int factor = patches.patch * patches.merge;
  if (frames < 1) return Fault{"", "video: no frame was chosen", ""};
  ClipPlan plan{.frames = frames, .loaded = frame, .grid = {}};
  if (options.loader) {
    const Result<Extent> loaded = loader_extent(frame, frames, factor, *options.loader);
    if (!loaded) return loaded.fault();
    plan.loaded = *loaded;
  }
  patches.max_pixels = most_pixels(frames, options);
  const Result<Extent> size =
      options.budget == PixelBudget::clip
          ? clip_extent(plan.loaded, frames, patches)
          : smart_resize(plan.loaded, factor, patches.min_pixels, patches.max_pixels);
  if (!size) return size.fault();
  plan.grid = {(frames + patches.temporal - 1) / patches.temporal, size->height / patches.patch,
               size->width / patches.patch};
  return plan;
}

void write_clip_frame(const Image& frame, int64_t index, const ClipPlan& plan,
                      const ClipOptions& options, std::span<float> out) {
  const PatchOptions& patches = options.patches;
  if (int64_t(out.size()) != plan.grid.patches() * patch_values(patches) || index < 0 ||
      index >= plan.frames)
    throw Error(
        "",
        fmt::format("write_clip_frame: frame {} of {}, room for {} values, the grid has {}", index,
                    plan.frames, out.size(), plan.grid.patches() * patch_values(patches)),
        "", Exit::failed);
  const Prepared from = prepare(frame, plan, options);
  const int64_t slot = index % patches.temporal;
  const bool last = index + 1 == plan.frames;
  const Slots slots{.first = slot, .count = last ? patches.temporal - slot : 1};
  const int64_t step = plan.grid.h * plan.grid.w * patch_values(patches);
  float* to = out.data() + index / patches.temporal * step;
  if (from.numbers.empty())
    write_slots(*from.bytes, plan.grid, patches, slots, to);
  else
    write_slots(from.numbers, plan.grid, patches, slots, to);
}

void write_video_patches(std::span<const Image> frames, const ClipPlan& plan,
                         const ClipOptions& options, std::span<float> out) {
  if (int64_t(frames.size()) != plan.frames)
    throw Error(
        "",
        fmt::format("write_video_patches: {} frames for a plan of {}", frames.size(), plan.frames),
        "", Exit::failed);
  for (size_t i = 0; i < frames.size(); ++i)
    write_clip_frame(frames[i], int64_t(i), plan, options, out);
}

}  // namespace lmms::media
