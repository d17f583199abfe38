#include "models/llava_onevision/processor_files.h"

#include "core/format.h"
#include "data/processor_members.h"

namespace lmms::models::llava_onevision {

using data::ProcessorMembers;
using data::ProcessorSection;
using nlohmann::json;

namespace {

/// The side of a square that `key` says, as a number, one edge, or height and width; 0 where it is
/// absent.
int square_under(ProcessorMembers& members, const char* key) {
  const json* size = members.find(key);
  if (size == nullptr) return 0;
  json sides = *size;
  if (size->is_number()) sides = {{"shortest_edge", *size}};
  ProcessorMembers read(sides, "");
  int edge = 0, height = 0, width = 0;
  read.whole("shortest_edge", edge);
  read.whole("height", height);
  read.whole("width", width);
  const bool is_square = edge > 0 ? height == 0 && width == 0 : height > 0 && height == width;
  if (!sides.is_object() || read.fault() || !is_square || read.find("longest_edge") != nullptr) {
    members.fail(key, "expected a square, {\"height\": 384, \"width\": 384}, found " +
                          ProcessorMembers::shown(*size));
    return 0;
  }
  return edge > 0 ? edge : height;
}

/// What images and frames have in common.
TileOptions read_views(ProcessorMembers& members, const TileOptions& defaults) {
  const TileOptions usual;
  TileOptions out = defaults;
  out.normalisation = usual.normalisation;
  out.filter = usual.filter;
  out.tile = usual.tile;
  members.read_colours(out.normalisation, out.filter);
  members.fixed("do_center_crop", false);
  if (const int side = square_under(members, "size"); side > 0) out.tile = side;
  const int crop = members.stated("crop_size") ? square_under(members, "crop_size") : 0;
  if (crop > 0 && crop != out.tile)
    members.fail("crop_size", fmt::format("not built yet: another than size, {}", out.tile));
  if (out.patch > 0) out.features_per_side = out.tile / out.patch;
  return out;
}

void read_pinpoints(ProcessorMembers& members, TileOptions& out) {
  constexpr int kTile = 384, kMost = 6;  // of the class, whatever its size is
  const char* key = "image_grid_pinpoints";
  out.pinpoints.clear();
  const json* pinpoints = members.find(key);
  if (pinpoints == nullptr) {
    for (int h = 1; h <= kMost; ++h)
      for (int w = 1; w <= kMost; ++w) out.pinpoints.push_back({kTile * h, kTile * w});
    return;
  }
  const auto is_side = [&](const json& side) {
    return side.is_number_integer() && side >= 1 && side <= 1 << 20 &&
           side.get<int>() % out.tile == 0;
  };
  if (!pinpoints->is_array() || pinpoints->empty())
    return members.fail(key,
                        "expected a list of sizes, found " + ProcessorMembers::shown(*pinpoints));
  for (const json& one : *pinpoints) {
    if (!one.is_array() || one.size() != 2 || !is_side(one[0]) || !is_side(one[1])) {
      return members.fail(key, fmt::format("expected [height, width] of whole tiles of {} pixels, "
                                           "found {}",
                                           out.tile, ProcessorMembers::shown(one)));
    }
    out.pinpoints.push_back({one[0].get<int>(), one[1].get<int>()});
  }
}

}  // namespace

Result<TileOptions> tile_options_of(const ProcessorSection& section, const TileOptions& defaults) {
  if (!section.is_given()) return defaults;
  if (const auto fault = check_image_class(section, kImageClass)) return *fault;
  ProcessorMembers members(section.values, section.where);
  TileOptions out = read_views(members, defaults);
  if (!members.fault()) read_pinpoints(members, out);
  if (members.fault()) return *members.fault();
  return out;
}

Result<TileOptions> frame_options_of(const ProcessorSection& section, const TileOptions& defaults) {
  if (!section.is_given()) return defaults;
  if (const std::string name = video_class(section, kVideoClass, kVideoClasses);
      name != kVideoClass) {
    return Fault{section.where + ": video_processor_type",
                 fmt::format("the model's videos are prepared by {}, not by {}", kVideoClass, name),
                 "use the processor that belongs to the model"};
  }
  ProcessorMembers members(section.values, section.where);
  TileOptions out = read_views(members, defaults);
  if (members.fault()) return *members.fault();
  return out;
}

std::optional<Fault> check_token_counts(const data::ProcessorFiles& files,
                                        const TileOptions& tiles) {
  ProcessorMembers members(files.processor,
                           fmt::format("{}/{}", files.folder, data::kProcessorFile));
  const json wanted = {{"num_image_tokens", tiles.features_per_side * tiles.features_per_side},
                       {"vision_feature_select_strategy", "full"},
                       {"vision_aspect_ratio", fmt::format("anyres_max_{}", tiles.most_tiles)}};
  for (const auto& [key, value] : wanted.items()) {
    const json* found = members.stated(key.c_str());
    if (found != nullptr && *found != value) {
      members.fail(key.c_str(), fmt::format("{} is not the model's, {}",
                                            ProcessorMembers::shown(*found), value.dump()));
    }
  }
  return members.fault();
}

}  // namespace lmms::models::llava_onevision
