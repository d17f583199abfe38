#include "data/preprocessor_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/format.h"

namespace lmms::data {
namespace {

/// Reads members of a JSON object that have a type, and remembers the first that has another.
class Members {
 public:
  Members(const nlohmann::json& object, std::string where)
      : object_(object), where_(std::move(where)) {}
  void whole(const char* key, int& value) {
    number(key, 1, 1 << 20, [&](double v) { value = static_cast<int>(v); });
  }
  void whole(const char* key, int64_t& value) {
    number(key, 1, 1e12, [&](double v) { value = static_cast<int64_t>(v); });
  }
  void real(const char* key, double& value) {
    number(key, 0, 1e6, [&](double v) { value = v; });
  }
  void colours(const char* key, std::array<double, 3>& values) {
    const auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) return;
    if (!found->is_array() || found->size() != 3 ||
        !std::all_of(found->begin(), found->end(), [](const auto& v) { return v.is_number(); })) {
      fail(key, "expected three numbers");
      return;
    }
    for (size_t c = 0; c < 3; ++c) values[c] = (*found)[c].get<double>();
  }
  /// True, or absent: what the mathematics here always does.
  void always(const char* key) {
    const auto found = object_.find(key);
    if (found != object_.end() && *found == false) fail(key, "not built yet: false");
  }
  void filter(media::Filter& value) {
    const auto resample = object_.find("resample");
    if (resample == object_.end() || !resample->is_number_integer() || *resample == 3) return;
    if (*resample == 2) {
      value = media::Filter::bilinear;
    } else {
      fail("resample", "expected 3 (bicubic) or 2 (bilinear)");
    }
  }
  void fail(const char* key, std::string what) {
    if (!fault_) fault_ = Fault{fmt::format("{}: {}", where_, key), std::move(what), ""};
  }
  const std::optional<Fault>& fault() const { return fault_; }
  const nlohmann::json& object() const { return object_; }

 private:
  template <class F>
  void number(const char* key, double least, double most, F set) {
    const auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) return;
    if (!found->is_number() || !(found->get<double>() >= least && found->get<double>() <= most)) {
      fail(key, fmt::format("expected a number in [{}, {}], found {}", least, most,
                            found->dump().substr(0, 40)));
      return;
    }
    set(found->get<double>());
  }
  const nlohmann::json& object_;
  std::string where_;
  std::optional<Fault> fault_;
};

}  // namespace

Result<media::PatchOptions> patch_options_of(const nlohmann::json& preprocessor,
                                             const std::string& where,
                                             const media::PatchOptions& defaults) {
  media::PatchOptions out = defaults;
  if (!preprocessor.is_object()) return out;
  Members members(preprocessor, where);
  members.whole("patch_size", out.patch);
  members.whole("merge_size", out.merge);
  members.whole("temporal_patch_size", out.temporal);
  members.whole("min_pixels", out.min_pixels);
  members.whole("max_pixels", out.max_pixels);
  members.colours("image_mean", out.normalisation.mean);
  members.colours("image_std", out.normalisation.std);
  members.real("rescale_factor", out.normalisation.rescale);
  for (const char* key : {"do_resize", "do_rescale", "do_normalize"}) members.always(key);
  const auto size = preprocessor.find("size");
  if (size != preprocessor.end() && size->is_object()) {
    Members edges(*size, where + ": size");
    edges.whole("shortest_edge", out.min_pixels);
    edges.whole("longest_edge", out.max_pixels);
    if (edges.fault()) return *edges.fault();
  }
  members.filter(out.filter);
  if (members.fault()) return *members.fault();
  return out;
}

Result<media::TileOptions> tile_options_of(const nlohmann::json& preprocessor,
                                           const std::string& where,
                                           const media::TileOptions& defaults) {
  media::TileOptions out = defaults;
  if (!preprocessor.is_object()) return out;
  Members members(preprocessor, where);
  members.colours("image_mean", out.normalisation.mean);
  members.colours("image_std", out.normalisation.std);
  members.real("rescale_factor", out.normalisation.rescale);
  for (const char* key : {"do_resize", "do_rescale", "do_normalize"}) members.always(key);
  members.filter(out.filter);
  const auto size = preprocessor.find("size");
  if (size != preprocessor.end() && size->is_object()) {
    Members sides(*size, where + ": size");
    int height = 0, width = 0;
    sides.whole("shortest_edge", height);
    width = height;
    sides.whole("height", height);
    sides.whole("width", width);
    if (sides.fault()) return *sides.fault();
    if (height != width) members.fail("size", "expected a square");
    if (height > 0) out.tile = height;
  }
  const auto pinpoints = preprocessor.find("image_grid_pinpoints");
  if (pinpoints != preprocessor.end() && !pinpoints->is_null()) {
    out.pinpoints.clear();
    const auto is_side = [&](const nlohmann::json& side) {
      return side.is_number_integer() && side >= 1 && side <= 1 << 20 &&
             side.get<int>() % out.tile == 0;
    };
    for (const auto& one : *pinpoints) {
      if (!one.is_array() || one.size() != 2 || !is_side(one[0]) || !is_side(one[1])) {
        members.fail("image_grid_pinpoints",
                     fmt::format("expected [height, width] of whole tiles of {} pixels, found {}",
                                 out.tile, one.dump().substr(0, 40)));
        break;
      }
      out.pinpoints.push_back({one[0].get<int>(), one[1].get<int>()});
    }
    if (out.pinpoints.empty()) members.fail("image_grid_pinpoints", "expected a list of sizes");
  }
  if (members.fault()) return *members.fault();
  if (out.patch > 0) out.features_per_side = out.tile / out.patch;
  return out;
}

}  // namespace lmms::data
