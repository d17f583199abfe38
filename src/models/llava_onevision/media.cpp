#include "models/llava_onevision/media.h"

#include "core/format.h"
#include "media/patch_image.h"

namespace lmms::models::llava_onevision {

using data::Medium;
using data::Part;
using data::TowerView;

std::optional<Fault> LlavaMedia::lay_out_image(Medium& medium,
                                               const data::MediaContext& context) const {
  const int64_t side = options_.tiles.features_per_side;
  medium.grid = {1, side, side};
  medium.layout = ViewLayout{};
  int64_t tokens = side * side + 1;
  if (context.images == 1 || options_.tiles_in_company) {
    const auto tiling = plan_tiles(medium.size, options_.tiles);
    if (!tiling) return tiling.fault();
    medium.grid.t = tiling->tiles();
    medium.layout = {ViewLayout::Kind::tiles, medium.size.height, medium.size.width};
    tokens = tiling->tokens;
  }
  medium.pads = {{.tokens = static_cast<int32_t>(tokens)}};
  return std::nullopt;
}

std::optional<Fault> LlavaMedia::lay_out_video(Medium& medium, const media::VideoInfo&,
                                               const nlohmann::json&) const {
  const int64_t side = options_.frames.features_per_side, pooled = (side + 1) / 2;
  medium.grid = {static_cast<int64_t>(medium.frames.indices.size()), side, side};
  medium.layout = ViewLayout{.kind = ViewLayout::Kind::frames};
  medium.pads = {{.tokens = static_cast<int32_t>(medium.grid.t * pooled * pooled + 1)}};
  return std::nullopt;
}

std::optional<Fault> LlavaMedia::write_image(const Medium& medium, const media::Image& image,
                                             std::span<float> out) const {
  if (medium.layout->kind == ViewLayout::Kind::single) {
    write_square(image, options_.tiles, out);
    return std::nullopt;
  }
  const auto tiling = plan_tiles(medium.size, options_.tiles);
  if (!tiling) return tiling.fault();
  write_tiles(image, *tiling, options_.tiles, out);
  return std::nullopt;
}

void LlavaMedia::write_frame(const Medium&, size_t position, const media::Image& frame,
                             std::span<float> out) const {
  const auto view = static_cast<size_t>(view_values(options_.frames));
  write_view(frame, options_.frames, out.subspan(position * view, view));
}

std::vector<TowerView> LlavaMedia::tower_views(const Medium& medium,
                                               std::span<const float> values) const {
  const bool video = medium.kind == Part::Kind::video;
  const TileOptions& views = video ? options_.frames : options_.tiles;
  media::PatchOptions patches;
  patches.patch = views.patch;
  patches.merge = patches.temporal = 1;
  patches.normalisation = views.normalisation;
  std::vector<TowerView> out;
  for (int64_t t = 0; t < medium.grid.t; ++t) {
    TowerView& seen = out.emplace_back();
    seen.picture = media::image_of_patches(values, medium.grid, patches, t);
    if (video) {
      seen.label = fmt::format("frame {}", medium.frames.indices[static_cast<size_t>(t)]);
    } else if (medium.layout->kind == ViewLayout::Kind::tiles) {
      seen.label = t == 0 ? "whole" : fmt::format("tile {}", t);
    }
  }
  return out;
}

int64_t LlavaMedia::patch_values() const {
  return int64_t{3} * options_.tiles.patch * options_.tiles.patch;
}

bool LlavaMedia::is_pad(int32_t id) const {
  return id == options_.image_token_id || id == options_.video_token_id;
}

std::vector<int32_t> LlavaMedia::positions(std::span<const int32_t>, std::span<const Medium>,
                                           const std::string&) const {
  return {};
}

}  // namespace lmms::models::llava_onevision
