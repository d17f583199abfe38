#pragma once
/// Reading config.json of a checkpoint: every value typed and checked, absent or null ones at their
/// class default.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace lmms::models {

class ConfigReader {
 public:
  /// `where` names the file in errors.
  ConfigReader(const nlohmann::json& config, std::string where)
      : config_(config), where_(std::move(where)) {}

  /// Integers within [low, high]; throws Error naming file, key, what was expected and what is
  /// there.
  int64_t integer(const char* key, int64_t fallback, int64_t low = 1,
                  int64_t high = int64_t{1} << 31) const;
  double number(const char* key, double fallback) const;
  bool boolean(const char* key, bool fallback) const;
  std::string text(const char* key, const std::string& fallback) const;
  /// The value; null if absent.
  const nlohmann::json& value(const char* key) const;
  /// A map inside; an empty one if it is absent or null.
  const nlohmann::json& section(const char* key) const;
  bool has(const char* key) const { return !value(key).is_null(); }
  /// Whether the key stands there, be it with null.
  bool stated(const char* key) const { return config_.contains(key); }
  /// Throws Error for `key`.
  [[noreturn]] void fail(const std::string& key, const std::string& what) const;
  const std::string& where() const { return where_; }

 private:
  const nlohmann::json& config_;
  std::string where_;
};

}  // namespace lmms::models
