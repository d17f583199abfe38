#include "data/preprocessor_config.h"

#include <algorithm>
#include <cmath>

#include "core/format.h"

namespace lmms::data {
namespace {

using nlohmann::json;

constexpr double kMostPixels = 1e12;

/// Reads members of a JSON object that have a type, and remembers the first that has another. A
/// null has none: in transformers it goes before the value of the class, and then fails.
class Members {
 public:
  /// `object`: null is an object without members.
  Members(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  /// The member, which may be null.
  const json* find(const char* key) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  /// The member, unless it is null.
  const json* stated(const char* key) const {
    const json* found = find(key);
    return found == nullptr || found->is_null() ? nullptr : found;
  }
  void whole(const char* key, int& value) {
    whole_number(key, 4096, [&](double v) { value = static_cast<int>(v); });
  }
  void whole(const char* key, int64_t& value) {
    whole_number(key, kMostPixels, [&](double v) { value = static_cast<int64_t>(v); });
  }
  void real(const char* key, double& value) {
    const json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_number() || !(found->get<double>() > 0) || !(found->get<double>() < 1e6)) {
      return fail(key, "expected a number above 0, found " + shown(*found));
    }
    value = found->get<double>();
  }
  void flag(const char* key, bool& value) {
    const json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_boolean() && !found->is_null())
      return fail(key, "expected true or false, found " + shown(*found));
    value = *found == true;
  }
  void colours(const char* key, std::array<double, 3>& values) {
    const json* found = find(key);
    if (found == nullptr) return;
    if (!found->is_array() || found->size() != 3 ||
        !std::all_of(found->begin(), found->end(), [](const json& v) { return v.is_number(); })) {
      return fail(key, "expected three numbers, found " + shown(*found));
    }
    for (size_t c = 0; c < 3; ++c) values[c] = (*found)[c].get<double>();
  }
  /// What the mathematics here always, or never, does; absent is as `usual`.
  void fixed(const char* key, bool usual) {
    bool value = usual;
    flag(key, value);
    if (value != usual) fail(key, fmt::format("not built yet: {}", value));
  }
  void filter(media::Filter& value) {
    const json* resample = find("resample");
    if (resample == nullptr || *resample == 3) return;
    if (*resample != 2)
      return fail("resample", "expected 3 (bicubic) or 2 (bilinear), found " + shown(*resample));
    value = media::Filter::bilinear;
  }
  void fail(const char* key, std::string what) {
    if (!fault_) fault_ = Fault{fmt::format("{}: {}", where_, key), std::move(what), ""};
  }
  const std::optional<Fault>& fault() const { return fault_; }

  static std::string shown(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 60);
  }

 private:
  template <class F>
  void whole_number(const char* key, double most, F set) {
    const json* found = find(key);
    if (found == nullptr) return;
    const double value = found->is_number() ? found->get<double>() : 0;
    if (!(value >= 1 && value <= most) || value != std::floor(value)) {
      return fail(
          key, fmt::format("expected a whole number from 1 to {}, found {}", most, shown(*found)));
    }
    set(value);
  }

  const json& object_;
  std::string where_;
  std::optional<Fault> fault_;
};

/// What all classes do with colours.
void read_colours(Members& members, media::Normalisation& normalisation, media::Filter& filter) {
  members.colours("image_mean", normalisation.mean);
  members.colours("image_std", normalisation.std);
  if (std::ranges::find(normalisation.std, 0) != normalisation.std.end())
    members.fail("image_std", "expected no 0");
  members.real("rescale_factor", normalisation.rescale);
  for (const char* key : {"do_resize", "do_rescale", "do_normalize"}) members.fixed(key, true);
  members.filter(filter);
}

/// `size` as the classes of Qwen have it: two numbers of pixels under names of edges, and over
/// them, where the class reads them, `min_pixels` and `max_pixels`.
void read_limits(Members& members, bool has_own_keys, media::PatchOptions& out) {
  int64_t least = 0, most = 0;
  if (has_own_keys && members.stated("min_pixels")) members.whole("min_pixels", least);
  if (has_own_keys && members.stated("max_pixels")) members.whole("max_pixels", most);
  if (const json* size = members.stated("size")) {
    const auto is_edge = [](const std::string& key) {
      return key == "shortest_edge" || key == "longest_edge";
    };
    json edges = size->is_object() ? *size : json::object();
    const auto put = [&](const char* limit, const char* edge, int64_t pixels) {
      if (pixels == 0) return;
      edges.erase(limit);
      edges[edge] = pixels;
    };
    put("min_pixels", "shortest_edge", least);
    put("max_pixels", "longest_edge", most);
    Members of_size(edges, "");
    of_size.whole("shortest_edge", least);
    of_size.whole("longest_edge", most);
    const bool is_plain =
        std::ranges::all_of(edges.items(), [&](const auto& edge) { return is_edge(edge.key()); });
    if (!size->is_object() || of_size.fault() || !is_plain || least == 0 || most == 0) {
      return members.fail("size",
                          "expected {\"shortest_edge\": the least pixels, \"longest_edge\": the "
                          "most}, found " +
                              Members::shown(*size));
    }
  }
  if (least > 0) out.min_pixels = least;
  if (most > 0) out.max_pixels = most;
}

void read_patches(Members& members, bool has_own_limits, media::PatchOptions& out) {
  members.whole("patch_size", out.patch);
  members.whole("merge_size", out.merge);
  members.whole("temporal_patch_size", out.temporal);
  read_colours(members, out.normalisation, out.filter);
  read_limits(members, has_own_limits, out);
}

/// The side of a square that `key` says, as a number, one edge, or height and width; 0 where it is
/// absent.
int square_under(Members& members, const char* key) {
  const json* size = members.find(key);
  if (size == nullptr) return 0;
  json sides = *size;
  if (size->is_number()) sides = {{"shortest_edge", *size}};
  Members read(sides, "");
  int edge = 0, height = 0, width = 0;
  read.whole("shortest_edge", edge);
  read.whole("height", height);
  read.whole("width", width);
  const bool is_square = edge > 0 ? height == 0 && width == 0 : height > 0 && height == width;
  if (!sides.is_object() || read.fault() || !is_square || read.find("longest_edge") != nullptr) {
    members.fail(key, "expected a square, {\"height\": 384, \"width\": 384}, found " +
                          Members::shown(*size));
    return 0;
  }
  return edge > 0 ? edge : height;
}

/// What images and frames have in common.
media::TileOptions read_views(Members& members, const media::TileOptions& defaults) {
  const media::TileOptions usual;
  media::TileOptions out = defaults;
  out.normalisation = usual.normalisation;
  out.filter = usual.filter;
  out.tile = usual.tile;
  read_colours(members, out.normalisation, out.filter);
  members.fixed("do_center_crop", false);
  if (const int side = square_under(members, "size"); side > 0) out.tile = side;
  const int crop = members.stated("crop_size") ? square_under(members, "crop_size") : 0;
  if (crop > 0 && crop != out.tile)
    members.fail("crop_size", fmt::format("not built yet: another than size, {}", out.tile));
  if (out.patch > 0) out.features_per_side = out.tile / out.patch;
  return out;
}

void read_pinpoints(Members& members, media::TileOptions& out) {
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
    return members.fail(key, "expected a list of sizes, found " + Members::shown(*pinpoints));
  for (const json& one : *pinpoints) {
    if (!one.is_array() || one.size() != 2 || !is_side(one[0]) || !is_side(one[1])) {
      return members.fail(key, fmt::format("expected [height, width] of whole tiles of {} pixels, "
                                           "found {}",
                                           out.tile, Members::shown(one)));
    }
    out.pinpoints.push_back({one[0].get<int>(), one[1].get<int>()});
  }
}

}  // namespace

Result<media::PatchOptions> patch_options_of(const ProcessorSection& section) {
  if (const auto fault = check_image_class(section, kQwenImageClass)) return *fault;
  media::PatchOptions out;
  Members members(section.values, section.where);
  read_patches(members, /*has_own_limits=*/true, out);
  if (members.fault()) return *members.fault();
  return out;
}

Result<media::ClipOptions> clip_options_of(const ProcessorSection& section,
                                           std::string_view of_model) {
  const std::string name = video_class(section, of_model);
  if (name != kQwen2VideoClass && name != kQwen3VideoClass) {
    return Fault{
        section.where + ": video_processor_type",
        fmt::format("'{}' is not built; {} and {} are", name, kQwen2VideoClass, kQwen3VideoClass),
        "use the processor that belongs to the model"};
  }
  const bool third = name == kQwen3VideoClass;
  media::ClipOptions out = third ? media::qwen3_vl_clip() : media::qwen2_vl_clip();
  Members members(section.values, section.where);
  read_patches(members, /*has_own_limits=*/!third, out.patches);
  bool is_capped = false;
  members.flag("cap_pixels_per_frame", is_capped);
  if (is_capped) members.whole("max_video_tokens", out.cap_tokens.emplace(third ? 768 : 128000));
  if (members.fault()) return *members.fault();
  return out;
}

Result<media::TileOptions> tile_options_of(const ProcessorSection& section,
                                           const media::TileOptions& defaults) {
  if (!section.is_given()) return defaults;
  if (const auto fault = check_image_class(section, kLlavaImageClass)) return *fault;
  Members members(section.values, section.where);
  media::TileOptions out = read_views(members, defaults);
  if (!members.fault()) read_pinpoints(members, out);
  if (members.fault()) return *members.fault();
  return out;
}

Result<media::TileOptions> frame_options_of(const ProcessorSection& section,
                                            const media::TileOptions& defaults) {
  if (!section.is_given()) return defaults;
  if (const std::string name = video_class(section, kLlavaVideoClass); name != kLlavaVideoClass) {
    return Fault{
        section.where + ": video_processor_type",
        fmt::format("the model's videos are prepared by {}, not by {}", kLlavaVideoClass, name),
        "use the processor that belongs to the model"};
  }
  Members members(section.values, section.where);
  media::TileOptions out = read_views(members, defaults);
  if (members.fault()) return *members.fault();
  return out;
}

std::optional<Fault> check_llava_processor(const ProcessorFiles& files,
                                           const media::TileOptions& tiles) {
  Members members(files.processor, fmt::format("{}/{}", files.folder, kProcessorFile));
  const json wanted = {{"num_image_tokens", tiles.features_per_side * tiles.features_per_side},
                       {"vision_feature_select_strategy", "full"},
                       {"vision_aspect_ratio", fmt::format("anyres_max_{}", tiles.most_tiles)}};
  for (const auto& [key, value] : wanted.items()) {
    const json* found = members.stated(key.c_str());
    if (found != nullptr && *found != value) {
      members.fail(key.c_str(),
                   fmt::format("{} is not the model's, {}", Members::shown(*found), value.dump()));
    }
  }
  return members.fault();
}

std::string unread_limits(const ProcessorSection& section) {
  std::string out;
  const Members members(section.values, section.where);
  for (const char* key : {"min_pixels", "max_pixels"})
    if (members.stated(key) != nullptr) out += (out.empty() ? "" : ", ") + std::string(key);
  return out;
}

}  // namespace lmms::data
