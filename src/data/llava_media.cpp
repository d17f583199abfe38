#include "data/llava_media.h"

#include <utility>

#include "core/format.h"
#include "media/video_patches.h"

namespace lmms::data {
namespace {

/// The fault of a medium, with its name.
Fault about(const std::string& name, Fault fault) {
  if (fault.where.empty()) fault.where = name;
  return fault;
}

}  // namespace

Result<Medium> LlavaMedia::open(const Part& part, const MediaContext& context) const {
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
  return open_image(std::move(medium), context);
}

Result<Medium> LlavaMedia::open_image(Medium medium, const MediaContext& context) const {
  const auto info = media::probe(medium.source.bytes());
  if (!info) return about(medium.name, info.fault());
  media::Extent size{info->height, info->width};
  if (options_.decode.apply_exif && info->turned()) std::swap(size.height, size.width);
  const int64_t side = options_.tiles.features_per_side;
  medium.grid = {1, side, side};
  medium.layout = ViewLayout{};
  int64_t tokens = side * side + 1;
  if (context.images == 1 || options_.tiles_in_company) {
    const auto tiling = media::plan_tiles(size, options_.tiles);
    if (!tiling) return about(medium.name, tiling.fault());
    medium.grid.t = tiling->tiles();
    medium.layout = {ViewLayout::Kind::tiles, size.height, size.width};
    tokens = tiling->tokens;
  }
  medium.pads = {{.tokens = static_cast<int32_t>(tokens)}};
  return medium;
}

Result<Medium> LlavaMedia::open_video(Medium medium, const nlohmann::json& options) const {
  media::SamplingOptions sampling = options_.sampling;
  for (const auto& [key, limit] :
       {std::pair("video_start", &sampling.start), std::pair("video_end", &sampling.end)}) {
    const auto given = options.is_object() ? options.find(key) : options.end();
    if (given == options.end() || given->is_null()) continue;
    if (!given->is_number() || !(given->get<double>() >= 0) || !(given->get<double>() < 1e9)) {
      return Fault{medium.name,
                   fmt::format("{}: expected a number >= 0, found {}", key, given->dump()), ""};
    }
    *limit = given->get<double>();
  }
  const auto info = media::probe_video(medium.source.bytes(), video_options());
  if (!info) return about(medium.name, info.fault());
  auto frames = media::choose_frames(*info, sampling);
  if (!frames) return about(medium.name, frames.fault());
  medium.frames = *std::move(frames);
  const int64_t side = options_.frames.features_per_side, pooled = (side + 1) / 2;
  medium.grid = {static_cast<int64_t>(medium.frames.indices.size()), side, side};
  medium.layout = ViewLayout{.kind = ViewLayout::Kind::frames};
  medium.pads = {{.tokens = static_cast<int32_t>(medium.grid.t * pooled * pooled + 1)}};
  return medium;
}

media::VideoOptions LlavaMedia::video_options() const {
  media::VideoOptions options;
  options.apply_rotation = options_.decode.apply_exif;
  return options;
}

int64_t LlavaMedia::patch_values() const {
  return int64_t{3} * options_.tiles.patch * options_.tiles.patch;
}

std::optional<Fault> LlavaMedia::write(const Medium& medium, std::span<float> out) const {
  if (medium.kind == Part::Kind::video) {
    auto video = media::Video::open(medium.source.bytes(), video_options());
    if (!video) return about(medium.name, video.fault());
    const auto view = static_cast<size_t>(media::view_values(options_.frames));
    const auto fault =
        video->decode(medium.frames.indices, [&](size_t position, media::Image frame) {
          media::write_llava_frame(frame, options_.frames, out.subspan(position * view, view));
        });
    if (fault) return about(medium.name, *fault);
    return std::nullopt;
  }
  const auto pixels = media::decode(medium.source.bytes(), options_.decode);
  if (!pixels) return about(medium.name, pixels.fault());
  if (medium.layout->kind == ViewLayout::Kind::single) {
    media::write_square(*pixels, options_.tiles, out);
    return std::nullopt;
  }
  const auto tiling =
      media::plan_tiles({medium.layout->height, medium.layout->width}, options_.tiles);
  if (!tiling) return about(medium.name, tiling.fault());
  media::write_tiles(*pixels, *tiling, options_.tiles, out);
  return std::nullopt;
}

std::optional<Fault> LlavaMedia::check_pixels(const Medium& medium) const {
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

bool LlavaMedia::is_pad(int32_t id) const {
  return id == options_.image_token_id || id == options_.video_token_id;
}

std::vector<int32_t> LlavaMedia::positions(std::span<const int32_t>, std::span<const Medium>,
                                           const std::string&) const {
  return {};
}

}  // namespace lmms::data
