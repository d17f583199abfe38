#pragma once
/// A value of free form from a config: what stands under keys whose meaning belongs to others
/// (`overwrite_config`, `load_from_config`, `extra_kwargs`). `value_json.h` turns it into
/// nlohmann::json.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace lmms::config {

struct Value {
  using List = std::vector<Value>;
  using Map =
      std::vector<std::pair<std::string, Value>>;  ///< in the order of the file, keys unique
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Map> data;

  bool is_null() const { return std::holds_alternative<std::monostate>(data); }
  const Map* map() const { return std::get_if<Map>(&data); }
  const List* list() const { return std::get_if<List>(&data); }
  const std::string* string() const { return std::get_if<std::string>(&data); }
  /// The value under `key` of a map; null if there is none or this is no map.
  const Value* find(std::string_view key) const;

  friend bool operator==(const Value& a, const Value& b);
};

}  // namespace lmms::config
