#include "data/json_text.h"

#include <simdjson.h>

#include <string>

#include "core/format.h"
#include "data/python_json.h"

namespace lmms::data {
namespace {

constexpr int kMaxDepth = 1024;

Json convert(simdjson::dom::element element) {
  using Type = simdjson::dom::element_type;
  switch (element.type()) {
    case Type::OBJECT: {
      ObjectBuilder object;
      for (const auto& [key, value] : simdjson::dom::object(element))
        object.put(std::string(key), convert(value));
      return object.take();
    }
    case Type::ARRAY: {
      auto array = Json::array();
      for (const auto value : simdjson::dom::array(element)) array.push_back(convert(value));
      return array;
    }
    case Type::STRING:
      return std::string(std::string_view(element));
    case Type::INT64:
      return int64_t(element);
    case Type::UINT64:
      return uint64_t(element);
    case Type::DOUBLE:
      return double(element);
    case Type::BOOL:
      return bool(element);
    case Type::NULL_VALUE:
      return nullptr;
  }
  return nullptr;
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  if (text.empty()) return Fault{"", "not valid JSON: the text is empty", ""};
  simdjson::dom::parser parser;
  if (parser.allocate(text.size(), kMaxDepth) != simdjson::SUCCESS)
    return parse_python_json(text, kMaxDepth);
  const simdjson::padded_string padded(text);
  simdjson::dom::element element;
  const auto error = parser.parse(padded).get(element);
  if (error == simdjson::DEPTH_ERROR) {
    return Fault{"", fmt::format("JSON nested deeper than {}", kMaxDepth), ""};
  }
  if (error) return parse_python_json(text, kMaxDepth);  // which says what is wrong, or takes it
  return convert(element);
}

}  // namespace lmms::data
