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
  const auto resample = preprocessor.find("resample");
  if (resample != preprocessor.end() && resample->is_number_integer() && *resample != 3) {
    if (*resample == 2) {
      out.filter = media::Filter::bilinear;
    } else {
      members.fail("resample", "expected 3 (bicubic) or 2 (bilinear)");
    }
  }
  if (members.fault()) return *members.fault();
  return out;
}

}  // namespace lmms::data
