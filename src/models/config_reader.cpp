#include "models/config_reader.h"

#include "core/error.h"

namespace lmms::models {

void ConfigReader::note(const char* key) const {
  if (read_ != nullptr) read_->insert(path_ + key);
}

bool ConfigReader::stated(const char* key) const {
  note(key);
  return config_.contains(key);
}

const nlohmann::json& ConfigReader::value(const char* key) const {
  static const nlohmann::json null;
  note(key);
  const auto found = config_.find(key);
  return found == config_.end() ? null : *found;
}

const nlohmann::json& ConfigReader::section(const char* key) const {
  static const nlohmann::json empty = nlohmann::json::object();
  const nlohmann::json& inner = value(key);
  if (!inner.is_null() && !inner.is_object()) fail(key, "expected a map, got " + inner.dump());
  return inner.is_null() ? empty : inner;
}

ConfigReader ConfigReader::inside(const char* key) const {
  return {section(key), where_ + ": " + key, read_, path_ + key + "."};
}

void ConfigReader::fail(const std::string& key, const std::string& what) const {
  throw Error(where_, key + ": " + what,
              "correct the model's config, or set model_config.overwrite_config." + path_ + key);
}

int64_t ConfigReader::integer(const char* key, int64_t fallback, int64_t low, int64_t high) const {
  const auto& v = value(key);
  if (v.is_null()) return fallback;
  if (!v.is_number_integer() || v.get<double>() < static_cast<double>(low) ||
      v.get<double>() > static_cast<double>(high)) {
    fail(key, "expected an integer from " + std::to_string(low) + " to " + std::to_string(high) +
                  ", got " + v.dump());
  }
  return v.get<int64_t>();
}

double ConfigReader::number(const char* key, double fallback) const {
  const auto& v = value(key);
  if (v.is_null()) return fallback;
  if (!v.is_number()) fail(key, "expected a number, got " + v.dump());
  return v.get<double>();
}

bool ConfigReader::boolean(const char* key, bool fallback) const {
  const auto& v = value(key);
  if (v.is_null()) return fallback;
  if (!v.is_boolean()) fail(key, "expected true or false, got " + v.dump());
  return v.get<bool>();
}

std::string ConfigReader::text(const char* key, const std::string& fallback) const {
  const auto& v = value(key);
  if (v.is_null()) return fallback;
  if (!v.is_string()) fail(key, "expected a string, got " + v.dump());
  return v.get<std::string>();
}

}  // namespace lmms::models
