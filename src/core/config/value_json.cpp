#include "core/config/value_json.h"

namespace lmms::config {

nlohmann::json to_json(const Value& value) {
  struct Visitor {
    nlohmann::json operator()(std::monostate) const { return nullptr; }
    nlohmann::json operator()(bool b) const { return b; }
    nlohmann::json operator()(int64_t i) const { return i; }
    nlohmann::json operator()(double d) const { return d; }
    nlohmann::json operator()(const std::string& s) const { return s; }
    nlohmann::json operator()(const Value::List& list) const {
      nlohmann::json out = nlohmann::json::array();
      for (const Value& item : list) out.push_back(to_json(item));
      return out;
    }
    nlohmann::json operator()(const Value::Map& map) const {
      nlohmann::json out = nlohmann::json::object();
      for (const auto& [key, item] : map) out[key] = to_json(item);
      return out;
    }
  };
  return std::visit(Visitor{}, value.data);
}

}  // namespace lmms::config
