#include "data/file_media.h"

#include <utility>

#include "core/format.h"

namespace lmms::data {
namespace {

/// The fault of a medium, with its name.
std::optional<Fault> about(const Medium& medium, std::optional<Fault> fault) {
  if (fault && fault->where.empty()) fault->where = medium.name;
  return fault;
}

}  // namespace

Result<Medium> FileMedia::open(const Part& part, const MediaContext& context) const {
  Medium medium{.kind = part.kind, .name = part.source_name(), .source = {}};
  if (part.kind == Part::Kind::audio)
    return Fault{medium.name, "audio, which this model does not take", "take the part out"};
  std::optional<Fault> fault;
  if (part.kind == Part::Kind::video) {
    auto source = media::map_source(part.source, context.data_folder);
    if (!source) return *about(medium, source.fault());
    medium.source = *std::move(source);
    fault = open_video(medium, part.options);
  } else {
    auto bytes = media::read_source(part.source, context.data_folder);
    if (!bytes) return *about(medium, bytes.fault());
    medium.source = media::SourceBytes(*std::move(bytes));
    fault = open_image(medium, context);
  }
  if (fault) return *about(medium, fault);
  return medium;
}

std::optional<Fault> FileMedia::open_image(Medium& medium, const MediaContext& context) const {
  const auto info = media::probe(medium.source.bytes());
  if (!info) return info.fault();
  medium.size = {info->height, info->width};
  if (decode_.apply_exif && info->turned()) std::swap(medium.size.height, medium.size.width);
  return lay_out_image(medium, context);
}

std::optional<Fault> FileMedia::open_video(Medium& medium, const nlohmann::json& options) const {
  media::SamplingOptions sampling = sampling_;
  for (const auto& [key, limit] :
       {std::pair("video_start", &sampling.start), std::pair("video_end", &sampling.end)}) {
    const auto given = number_of(options, key);
    if (!given) return given.fault();
    if (*given) *limit = **given;
  }
  const auto info = media::probe_video(medium.source.bytes(), video_options());
  if (!info) return info.fault();
  auto frames = media::choose_frames(*info, sampling);
  if (!frames) return frames.fault();
  medium.frames = *std::move(frames);
  medium.size = {info->height, info->width};
  return lay_out_video(medium, *info, options);
}

std::optional<Fault> FileMedia::each_picture(
    const Medium& medium, const std::function<std::optional<Fault>(media::Image)>& image,
    const media::FrameSink& frame) const {
  if (medium.kind == Part::Kind::image) {
    auto pixels = media::decode(medium.source.bytes(), decode_);
    return about(medium, pixels ? image(*std::move(pixels)) : pixels.fault());
  }
  auto video = media::Video::open(medium.source.bytes(), video_options());
  if (!video) return about(medium, video.fault());
  return about(medium, video->decode(medium.frames.indices, frame));
}

std::optional<Fault> FileMedia::write(const Medium& medium, std::span<float> out) const {
  return each_picture(
      medium, [&](const media::Image& image) { return write_image(medium, image, out); },
      [&](size_t position, const media::Image& frame) {
        write_frame(medium, position, frame, out);
      });
}

std::optional<Fault> FileMedia::check_pixels(const Medium& medium) const {
  return each_picture(
      medium, [](const media::Image&) -> std::optional<Fault> { return std::nullopt; },
      [](size_t, const media::Image&) {});
}

Result<std::optional<double>> FileMedia::number_of(const nlohmann::json& options, const char* key) {
  const auto at = options.is_object() ? options.find(key) : options.end();
  if (at == options.end() || at->is_null()) return std::optional<double>();
  if (!at->is_number() || !(at->get<double>() >= 0) || !(at->get<double>() < 1e9))
    return Fault{"", fmt::format("{}: expected a number >= 0, found {}", key, at->dump()), ""};
  return std::optional(at->get<double>());
}

media::VideoOptions FileMedia::video_options() const {
  media::VideoOptions options;
  options.apply_rotation = decode_.apply_exif;
  return options;
}

}  // namespace lmms::data
