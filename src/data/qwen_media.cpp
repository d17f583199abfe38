#include "data/qwen_media.h"

#include <utility>

#include "core/format.h"
#include "media/source.h"

namespace lmms::data {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// The fault of a medium, with its name.
Fault about(const std::string& name, Fault fault) {
  if (fault.where.empty()) fault.where = name;
  return fault;
}

}  // namespace

Result<Medium> QwenMedia::open(const Part& part, const MediaContext& context) const {
  Medium medium{.kind = part.kind, .name = part.source_name(), .bytes = "", .grid = {}, .pads = {}};
  if (part.kind != Part::Kind::image)
    return Fault{medium.name, "not built yet: videos and audio", "take the part out"};
  auto bytes = media::read_source(part.source, context.data_folder);
  if (!bytes) return about(medium.name, bytes.fault());
  medium.bytes = *std::move(bytes);
  const auto info = media::probe(bytes_of(medium.bytes));
  if (!info) return about(medium.name, info.fault());
  media::Extent size{info->height, info->width};
  if (options_.decode.apply_exif && info->turned()) std::swap(size.height, size.width);
  const auto grid = media::patch_grid(size, options_.patches);
  if (!grid) return about(medium.name, grid.fault());
  medium.grid = *grid;
  medium.pads = {{.tokens = static_cast<int32_t>(grid->tokens(options_.patches.merge))}};
  return medium;
}

int64_t QwenMedia::patch_values() const {
  return media::patch_values(options_.patches);
}

std::optional<Fault> QwenMedia::write(const Medium& medium, std::span<float> out) const {
  const auto pixels = media::decode(bytes_of(medium.bytes), options_.decode);
  if (!pixels) return about(medium.name, pixels.fault());
  media::write_patches(*pixels, medium.grid, options_.patches, out);
  return std::nullopt;
}

std::optional<Fault> QwenMedia::check_pixels(const Medium& medium) const {
  const auto pixels = media::decode(bytes_of(medium.bytes), options_.decode);
  if (!pixels) return about(medium.name, pixels.fault());
  return std::nullopt;
}

bool QwenMedia::is_pad(int32_t id) const {
  return id == options_.positions.image_token_id || id == options_.positions.video_token_id;
}

std::vector<int32_t> QwenMedia::positions(std::span<const int32_t> ids,
                                          std::span<const Medium> media,
                                          const std::string& where) const {
  if (media.empty()) return {};
  std::vector<RopeMedia> rope;
  for (const Medium& medium : media)
    rope.push_back({.grid = medium.grid, .video = medium.kind == Part::Kind::video});
  std::vector<int32_t> flat;
  for (const std::vector<int32_t>& axis : rope_index(ids, rope, options_.positions, where))
    flat.insert(flat.end(), axis.begin(), axis.end());
  return flat;
}

int64_t QwenMedia::cost(const Medium& medium) const {
  const PatchGrid& grid = medium.grid;
  return grid.patches() * grid.h * grid.w;  // of whole frames
}

}  // namespace lmms::data
