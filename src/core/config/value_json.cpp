#include "core/config/value_json.h"

namespace lmms::config {

nlohmann::ordered_json to_json(const Value& value) {
  struct Visitor {
    nlohmann::ordered_json operator()(std::monostate) const { return nullptr; }
    nlohmann::ordered_json operator()(bool b) const { return b; }
    nlohmann::ordered_json operator()(int64_t i) const { return i; }
    nlohmann::ordered_json operator()(double d) const { return d; }
    nlohmann::ordered_json operator()(const std::string& s) const { return s; }
    nlohmann::ordered_json operator()(const Value::List& list) const {
      nlohmann::ordered_json out = nlohmann::ordered_json::array();
      for (const Value& item : list) out.push_back(to_json(item));
      return out;
    }
    nlohmann::ordered_json operator()(const Value::Map& map) const {
      nlohmann::ordered_json out = nlohmann::ordered_json::object();
      for (const auto& [key, item] : map) out[key] = to_json(item);
      return out;
    }
  };
  return std::visit(Visitor{}, value.data);
}

}  // namespace lmms::config
