#pragma once
/// The values of rows.
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/error.h"

namespace lmms::data {

/// A value of a row. Members keep the order in which they were written: tools and calls of them are
/// trained as they stand.
using Json = nlohmann::ordered_json;

/// Makes an object member by member. The last value of a key wins, in the place of the first.
class ObjectBuilder {
 public:
  void put(std::string key, Json value);
  Json take() { return std::move(object_); }

 private:
  Json object_ = Json::object();
  std::unordered_map<std::string, size_t> places_;  // of the keys, from many members on
};

/// A member of an object that is there and not null, or nullptr.
const Json* find_member(const Json& object, const char* key);

/// A value as Python's json.dumps(value, ensure_ascii=False) writes it: ", " and ": " between, the
/// shortest digits that give a number back. Bytes are a fault.
Result<std::string> dump_as_python(const Json& value);

}  // namespace lmms::data
