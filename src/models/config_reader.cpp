#include "models/config_reader.h"

#include <algorithm>

#include "core/config/yaml.h"
#include "core/files.h"

namespace lmms::models {
namespace {

// "config.json:12:5"; the file alone where it cannot be read as YAML, of which JSON is a part, or
// has no such key.
std::string place_in(const std::filesystem::path& file, const std::string& path) {
  const Result<std::string> text = read_file(file);
  if (!text) return file.string();
  config::Faults faults;  // the file was read as JSON already
  const config::Node root = config::parse_yaml(*text, file.string(), faults);
  const config::Node* node = &root;
  const config::Entry* entry = nullptr;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    entry = node->find(path.substr(begin, end - begin));
    if (entry == nullptr) return file.string();
    node = &entry->value;
    begin = end + 1;
  }
  return entry->at.text();
}

}  // namespace

ConfigFault ConfigFault::in_file(const std::filesystem::path& file) const {
  return {place_in(file, path_), path_, path_, text_, fault().fix};
}

Error ConfigFault::stated_at(const std::string& where) const {
  return {where, text_, "correct it there"};
}

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
  throw ConfigFault(
      where_, key, path_ + key, what,
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
