#include "models/qwen_vl/media.h"

#include <algorithm>
#include <utility>

#include "core/format.h"
#include "media/patch_image.h"

namespace lmms::models::qwen_vl {

using data::Medium;
using data::Part;
using data::TowerView;

std::optional<Fault> QwenMedia::lay_out_image(Medium& medium, const data::MediaContext&) const {
  const auto grid = media::patch_grid(medium.size, options_.patches);
  if (!grid) return grid.fault();
  medium.grid = *grid;
  medium.pads = {{.tokens = static_cast<int32_t>(grid->tokens(options_.patches.merge))}};
  return std::nullopt;
}

std::optional<Fault> QwenMedia::lay_out_video(Medium& medium, const media::VideoInfo& info,
                                              const nlohmann::json& options) const {
  media::ClipOptions clip = options_.clip;
  for (const auto& [key, limit] : {std::pair("min_pixels", &media::FrameLimits::min_pixels),
                                   std::pair("max_pixels", &media::FrameLimits::max_pixels)}) {
    const auto given = number_of(options, key);
    if (!given) return given.fault();
    if (*given && clip.loader) (*clip.loader).*limit = static_cast<int64_t>(**given);
  }
  const auto plan =
      media::plan_clip(medium.size, static_cast<int64_t>(medium.frames.indices.size()), clip);
  if (!plan) return plan.fault();
  medium.clip = *plan;
  medium.grid = plan->grid;
  const auto tokens = static_cast<int32_t>(medium.grid.tokens(clip.patches.merge));
  if (!options_.positions.frames_apart) {
    medium.pads = {{.tokens = tokens}};
    return std::nullopt;
  }
  for (const double seconds :
       media::timestamps(medium.frames.indices, info.fps, clip.patches.temporal)) {
    medium.pads.push_back({.tokens = tokens / static_cast<int32_t>(medium.grid.t),
                           .text = fmt::format("<{:.1f} seconds>", seconds)});
  }
  return std::nullopt;
}

std::optional<Fault> QwenMedia::write_image(const Medium& medium, const media::Image& image,
                                            std::span<float> out) const {
  media::write_patches(image, medium.grid, options_.patches, out);
  return std::nullopt;
}

void QwenMedia::write_frame(const Medium& medium, size_t position, const media::Image& frame,
                            std::span<float> out) const {
  media::write_clip_frame(frame, static_cast<int64_t>(position), medium.clip, options_.clip, out);
}

int64_t QwenMedia::patch_values() const {
  return media::patch_values(options_.patches);
}

std::vector<TowerView> QwenMedia::tower_views(const Medium& medium,
                                              std::span<const float> values) const {
  const PatchGrid& grid = medium.grid;
  const bool video = medium.kind == Part::Kind::video;
  const media::PatchOptions& patches = video ? options_.clip.patches : options_.patches;
  std::vector<TowerView> out;
  for (int64_t t = 0; t < grid.t; ++t) {
    TowerView& view = out.emplace_back();
    view.picture = media::image_of_patches(values, grid, patches, t);
    view.rows = grid.h / patches.merge;
    view.columns = grid.w / patches.merge;
    if (!video) continue;
    // the time that the model reads: in the text, or in the positions
    const std::string& time_text =
        medium.pads[medium.pads.size() > 1 ? static_cast<size_t>(t) : 0].text;
    const double seconds =
        static_cast<double>(t * patches.temporal) / std::max(medium.frames.sample_fps, 1e-9);
    view.label = time_text.empty() ? fmt::format("{:.1f} s", seconds) : time_text;
  }
  return out;
}

bool QwenMedia::is_pad(int32_t id) const {
  return id == options_.positions.image_token_id || id == options_.positions.video_token_id;
}

std::vector<int32_t> QwenMedia::positions(std::span<const int32_t> ids,
                                          std::span<const Medium> media,
                                          const std::string& where) const {
  if (media.empty()) return {};
  std::vector<RopeMedia> rope;
  for (const Medium& medium : media) {
    const bool video = medium.kind == Part::Kind::video;
    const double seconds = video ? options_.clip.patches.temporal / medium.frames.sample_fps : 1;
    rope.push_back({.grid = medium.grid, .video = video, .seconds_per_grid = seconds});
  }
  std::vector<int32_t> flat;
  for (const std::vector<int32_t>& axis : rope_index(ids, rope, options_.positions, where))
    flat.insert(flat.end(), axis.begin(), axis.end());
  return flat;
}

}  // namespace lmms::models::qwen_vl
