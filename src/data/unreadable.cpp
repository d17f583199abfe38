#include "data/unreadable.h"

#include <vector>

#include "core/format.h"

namespace lmms::data {
namespace {

using json = Json;

constexpr json::binary_t::subtype_type kTag = 0x756E7264;  // no source of data gives a tag
constexpr size_t kMostReasons = 3;

/// "key[2].name: why" of the unreadable values in `value`, up to kMostReasons.
void collect(const json& value, const std::string& path, std::vector<std::string>& reasons) {
  if (reasons.size() == kMostReasons) return;
  if (const auto why = why_unreadable(value)) {
    reasons.push_back(fmt::format("{}: {}", path, *why));
  } else if (value.is_object()) {
    for (const auto& [key, member] : value.items()) collect(member, path + "." + key, reasons);
  } else if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i)
      collect(value[i], fmt::format("{}[{}]", path, i), reasons);
  }
}

}  // namespace

json unreadable_value(std::string_view why) {
  return json::binary(std::vector<uint8_t>(why.begin(), why.end()), kTag);
}

std::optional<std::string> why_unreadable(const json& value) {
  if (!value.is_binary()) return std::nullopt;
  const auto& bytes = value.get_binary();
  if (!bytes.has_subtype() || bytes.subtype() != kTag) return std::nullopt;
  return std::string(bytes.begin(), bytes.end());
}

Fault with_reasons(Fault fault, const json& fields) {
  std::vector<std::string> reasons;
  for (const auto& [key, value] : fields.items()) {
    if (fault.what.find(key) != std::string::npos) collect(value, key, reasons);
  }
  for (const auto& reason : reasons) fault.what += "; " + reason;
  return fault;
}

}  // namespace lmms::data
