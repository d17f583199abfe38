#include "data/processor_members.h"

#include <algorithm>
#include <cmath>

#include "core/format.h"

namespace lmms::data {

using nlohmann::json;

namespace {

constexpr double kMostPixels = 1e12;

}  // namespace

const json* ProcessorMembers::find(const char* key) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

const json* ProcessorMembers::stated(const char* key) const {
  const json* found = find(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

void ProcessorMembers::whole(const char* key, int& value) {
  if (const auto number = whole_number(key, 4096)) value = static_cast<int>(*number);
}

void ProcessorMembers::whole(const char* key, int64_t& value) {
  if (const auto number = whole_number(key, kMostPixels)) value = static_cast<int64_t>(*number);
}

void ProcessorMembers::real(const char* key, double& value) {
  const json* found = find(key);
  if (found == nullptr) return;
  if (!found->is_number() || !(found->get<double>() > 0) || !(found->get<double>() < 1e6)) {
    return fail(key, "expected a number above 0, found " + shown(*found));
  }
  value = found->get<double>();
}

void ProcessorMembers::flag(const char* key, bool& value) {
  const json* found = find(key);
  if (found == nullptr) return;
  if (!found->is_boolean() && !found->is_null())
    return fail(key, "expected true or false, found " + shown(*found));
  value = *found == true;
}

void ProcessorMembers::colours(const char* key, std::array<double, 3>& values) {
  const json* found = find(key);
  if (found == nullptr) return;
  if (!found->is_array() || found->size() != 3 ||
      !std::all_of(found->begin(), found->end(), [](const json& v) { return v.is_number(); })) {
    return fail(key, "expected three numbers, found " + shown(*found));
  }
  for (size_t c = 0; c < 3; ++c) values[c] = (*found)[c].get<double>();
}

void ProcessorMembers::fixed(const char* key, bool usual) {
  bool value = usual;
  flag(key, value);
  if (value != usual) fail(key, fmt::format("not built yet: {}", value));
}

void ProcessorMembers::filter(media::Filter& value) {
  const json* resample = find("resample");
  if (resample == nullptr || *resample == 3) return;
  if (*resample != 2)
    return fail("resample", "expected 3 (bicubic) or 2 (bilinear), found " + shown(*resample));
  value = media::Filter::bilinear;
}

void ProcessorMembers::read_colours(media::Normalisation& normalisation, media::Filter& filter) {
  colours("image_mean", normalisation.mean);
  colours("image_std", normalisation.std);
  if (std::ranges::find(normalisation.std, 0) != normalisation.std.end())
    fail("image_std", "expected no 0");
  real("rescale_factor", normalisation.rescale);
  for (const char* key : {"do_resize", "do_rescale", "do_normalize"}) fixed(key, true);
  this->filter(filter);
}

void ProcessorMembers::fail(const char* key, std::string what) {
  if (!fault_) fault_ = Fault{fmt::format("{}: {}", where_, key), std::move(what), ""};
}

std::string ProcessorMembers::shown(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 60);
}

std::optional<double> ProcessorMembers::whole_number(const char* key, double most) {
  const json* found = find(key);
  if (found == nullptr) return std::nullopt;
  const double value = found->is_number() ? found->get<double>() : 0;
  if (value >= 1 && value <= most && value == std::floor(value)) return value;
  fail(key, fmt::format("expected a whole number from 1 to {}, found {}", most, shown(*found)));
  return std::nullopt;
}

std::string unread_limits(const ProcessorSection& section) {
  std::string out;
  const ProcessorMembers members(section.values, section.where);
  for (const char* key : {"min_pixels", "max_pixels"})
    if (members.stated(key) != nullptr) out += (out.empty() ? "" : ", ") + std::string(key);
  return out;
}

}  // namespace lmms::data
