#include "data/json_text.h"

#include <simdjson.h>

#include <string>

#include "core/format.h"

namespace lmms::data {
namespace {

constexpr size_t kMaxDepth = 1024;

nlohmann::json convert(simdjson::dom::element element) {
  using Type = simdjson::dom::element_type;
  switch (element.type()) {
    case Type::OBJECT: {
      auto object = nlohmann::json::object();
      for (const auto& [key, value] : simdjson::dom::object(element)) {
        if (value.is_null()) {
          object.erase(std::string(key));  // a duplicate key: the last wins, also if it is null
        } else {
          object[std::string(key)] = convert(value);
        }
      }
      return object;
    }
    case Type::ARRAY: {
      auto array = nlohmann::json::array();
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

void drop_nulls(nlohmann::json& value) {
  if (value.is_object()) {
    for (auto member = value.begin(); member != value.end();) {
      member = member->is_null() ? value.erase(member) : std::next(member);
    }
  }
  if (value.is_structured()) {
    for (auto& child : value) drop_nulls(child);
  }
}

/// The slow parser: says where and why, and knows integers beyond 64 bits (as doubles).
Result<nlohmann::json> parse_slowly(std::string_view text) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep = too_deep || depth > static_cast<int>(kMaxDepth);
    return !too_deep;
  };
  try {
    auto value = nlohmann::json::parse(text.begin(), text.end(), watch_depth);
    if (too_deep) return Fault{"", fmt::format("JSON nested deeper than {}", kMaxDepth), ""};
    drop_nulls(value);
    return value;
  } catch (const nlohmann::json::exception& error) {
    std::string what = error.what();
    if (const size_t end = what.find("] "); what.starts_with('[') && end != std::string::npos) {
      what.erase(0, end + 2);
    }
    constexpr size_t kLongest = 300;  // nlohmann quotes the last token read, which may be the text
    if (what.size() > kLongest) {
      // Never cut a character in two: messages are UTF-8 too.
      size_t cut = kLongest;
      while (cut > 0 && (static_cast<unsigned char>(what[cut]) & 0xC0) == 0x80) --cut;
      what = what.substr(0, cut) + " ...";
    }
    return Fault{"", "not valid JSON: " + what, ""};
  }
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text) {
  if (text.empty()) return Fault{"", "not valid JSON: the text is empty", ""};
  simdjson::dom::parser parser;
  if (parser.allocate(text.size(), kMaxDepth) != simdjson::SUCCESS) return parse_slowly(text);
  const simdjson::padded_string padded(text);
  simdjson::dom::element element;
  const auto error = parser.parse(padded).get(element);
  if (error == simdjson::DEPTH_ERROR) {
    return Fault{"", fmt::format("JSON nested deeper than {}", kMaxDepth), ""};
  }
  if (error) return parse_slowly(text);
  return convert(element);
}

}  // namespace lmms::data
