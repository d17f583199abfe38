#include "data/qwen_media.h"

#include <algorithm>
#include <utility>

#include "core/format.h"
#include "media/patch_image.h"

namespace lmms::data {
namespace {

/// The fault of a medium, with its name.
Fault about(const std::string& name, Fault fault) {
  if (fault.where.empty()) fault.where = name;
  return fault;
}

/// A number among a part's options: absent, or a fault if it is none.
Result<std::optional<double>> number_of(const nlohmann::json& options, const char* key) {
  const auto at = options.find(key);
  if (!options.is_object() || at == options.end() || at->is_null()) return std::optional<double>();
  if (!at->is_number() || !(at->get<double>() >= 0) || !(at->get<double>() < 1e9))
    return Fault{"", fmt::format("{}: expected a number >= 0, found {}", key, at->dump()), ""};
  return std::optional(at->get<double>());
}

}  // namespace

Result<Medium> QwenMedia::open(const Part& part, const MediaContext& context) const {
  Medium medium{.kind = part.kind, .name = part.source_name(), .source = {}};
  if (part.kind == Part::Kind::audio)
    return Fault{medium.name, "audio, which this model does not take", "take the part out"};
  if (part.kind == Part::Kind::video) {
    auto source = media::map_source(part.source, context.data_folder);
    if (!source) return about(medium.name, source.fault());
    medium.source = *std::move(source);
    return open_video(std::move(medium), part.options);
  }
  auto bytes = media::read_source(part.source, context.data_folder);
  if (!bytes) return about(medium.name, bytes.fault());
  medium.source = media::SourceBytes(*std::move(bytes));
  return open_image(std::move(medium));
}

Result<Medium> QwenMedia::open_image(Medium medium) const {
  const auto info = media::probe(medium.source.bytes());
  if (!info) return about(medium.name, info.fault());
  media::Extent size{info->height, info->width};
  if (options_.decode.apply_exif && info->turned()) std::swap(size.height, size.width);
  const auto grid = media::patch_grid(size, options_.patches);
  if (!grid) return about(medium.name, grid.fault());
  medium.grid = *grid;
  medium.size = size;
  medium.pads = {{.tokens = static_cast<int32_t>(grid->tokens(options_.patches.merge))}};
  return medium;
}

Result<Medium> QwenMedia::open_video(Medium medium, const nlohmann::json& options) const {
  media::SamplingOptions sampling = options_.sampling;
  media::ClipOptions clip = options_.clip;
  for (const auto& [key, set] :
       {std::pair<const char*, std::function<void(double)>>{"video_start",
                                                            [&](double v) { sampling.start = v; }},
        {"video_end", [&](double v) { sampling.end = v; }},
        {"min_pixels", [&](double v) { clip.loader->min_pixels = static_cast<int64_t>(v); }},
        {"max_pixels", [&](double v) { clip.loader->max_pixels = static_cast<int64_t>(v); }}}) {
    const auto value = number_of(options, key);
    if (!value) return about(medium.name, value.fault());
    if (*value) set(**value);
  }
  const auto info = media::probe_video(medium.source.bytes(), video_options());
  if (!info) return about(medium.name, info.fault());
  auto frames = media::choose_frames(*info, sampling);
  if (!frames) return about(medium.name, frames.fault());
  medium.frames = *std::move(frames);
  const auto plan = media::plan_clip({info->height, info->width},
                                     static_cast<int64_t>(medium.frames.indices.size()), clip);
  if (!plan) return about(medium.name, plan.fault());
  medium.clip = *plan;
  medium.grid = plan->grid;
  medium.size = {info->height, info->width};
  const auto tokens = static_cast<int32_t>(medium.grid.tokens(clip.patches.merge));
  if (!options_.positions.frames_apart) {
    medium.pads = {{.tokens = tokens}};
    return medium;
  }
  for (const double seconds :
       media::timestamps(medium.frames.indices, info->fps, clip.patches.temporal)) {
    medium.pads.push_back({.tokens = tokens / static_cast<int32_t>(medium.grid.t),
                           .text = fmt::format("<{:.1f} seconds>", seconds)});
  }
  return medium;
}

media::VideoOptions QwenMedia::video_options() const {
  media::VideoOptions options;
  options.apply_rotation = options_.decode.apply_exif;
  return options;
}

int64_t QwenMedia::patch_values() const {
  return media::patch_values(options_.patches);
}

std::optional<Fault> QwenMedia::write(const Medium& medium, std::span<float> out) const {
  if (medium.kind == Part::Kind::image) {
    const auto pixels = media::decode(medium.source.bytes(), options_.decode);
    if (!pixels) return about(medium.name, pixels.fault());
    media::write_patches(*pixels, medium.grid, options_.patches, out);
    return std::nullopt;
  }
  auto video = media::Video::open(medium.source.bytes(), video_options());
  if (!video) return about(medium.name, video.fault());
  const auto fault = video->decode(medium.frames.indices, [&](size_t position, media::Image frame) {
    media::write_clip_frame(frame, static_cast<int64_t>(position), medium.clip, options_.clip, out);
  });
  if (fault) return about(medium.name, *fault);
  return std::nullopt;
}

std::optional<Fault> QwenMedia::check_pixels(const Medium& medium) const {
  if (medium.kind == Part::Kind::image) {
    const auto pixels = media::decode(medium.source.bytes(), options_.decode);
    if (!pixels) return about(medium.name, pixels.fault());
    return std::nullopt;
  }
  auto video = media::Video::open(medium.source.bytes(), video_options());
  if (!video) return about(medium.name, video.fault());
  const auto fault = video->decode(medium.frames.indices, [](size_t, media::Image) {});
  if (fault) return about(medium.name, *fault);
  return std::nullopt;
}

std::vector<Sight> QwenMedia::sights(const Medium& medium, std::span<const float> values) const {
  const PatchGrid& grid = medium.grid;
  const bool video = medium.kind == Part::Kind::video;
  const media::PatchOptions& patches = video ? options_.clip.patches : options_.patches;
  std::vector<Sight> out;
  for (int64_t t = 0; t < grid.t; ++t) {
    Sight& sight = out.emplace_back();
    sight.picture = media::image_of_patches(values, grid, patches, t);
    sight.rows = grid.h / patches.merge;
    sight.columns = grid.w / patches.merge;
    if (!video) continue;
    // the time that the model is told: in the text, or in the positions
    const std::string& told = medium.pads[medium.pads.size() > 1 ? static_cast<size_t>(t) : 0].text;
    const double seconds =
        static_cast<double>(t * patches.temporal) / std::max(medium.frames.sample_fps, 1e-9);
    sight.label = told.empty() ? fmt::format("{:.1f} s", seconds) : told;
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

}  // namespace lmms::data
