#pragma once
/// Reading config.json of a checkpoint: every value typed and checked, absent or null ones at their
/// class default.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "core/error.h"

namespace lmms::models {

/// Keys of a config that somebody asked for, as dotted paths: "text_config.rms_norm_eps".
using KeysRead = std::set<std::string>;

/// What is wrong in a model's config, and under which key.
class ConfigFault : public Error {
 public:
  /// "where: key: text". `path` is the key from the top of the config ("text_config.head_dim").
  ConfigFault(std::string where, const std::string& key, std::string path, std::string text,
              std::string fix)
      : Error(std::move(where), key + ": " + text, std::move(fix)),
        path_(std::move(path)),
        text_(std::move(text)) {}
  const std::string& path() const { return path_; }
  const std::string& text() const { return text_; }

  /// The same at its place in the file that the config was read from: "config.json:12:5:
  /// text_config.head_dim: ...", or the file alone where it has no such key.
  ConfigFault in_file(const std::filesystem::path& file) const;
  /// The same about a key elsewhere: `where` names it.
  Error stated_at(const std::string& where) const;

 private:
  std::string path_, text_;
};

class ConfigReader {
 public:
  /// `where` names the file in errors. `read` takes down every key that is asked for; `path` is
  /// what stands before the keys in the whole config ("text_config.").
  ConfigReader(const nlohmann::json& config, std::string where, KeysRead* read = nullptr,
               std::string path = {})
      : config_(config), where_(std::move(where)), read_(read), path_(std::move(path)) {}

  /// Integers within [low, high]; throws ConfigFault naming file, key, what was expected and what
  /// is there.
  int64_t integer(const char* key, int64_t fallback, int64_t low = 1,
                  int64_t high = int64_t{1} << 31) const;
  double number(const char* key, double fallback) const;
  bool boolean(const char* key, bool fallback) const;
  std::string text(const char* key, const std::string& fallback) const;
  /// The value; null if absent.
  const nlohmann::json& value(const char* key) const;
  /// A map inside; an empty one if it is absent or null.
  const nlohmann::json& section(const char* key) const;
  /// A reader of section(key).
  ConfigReader inside(const char* key) const;
  bool has(const char* key) const { return !value(key).is_null(); }
  /// Whether the key stands there, be it with null.
  bool stated(const char* key) const;
  const nlohmann::json& whole() const { return config_; }
  /// Throws ConfigFault for `key`.
  [[noreturn]] void fail(const std::string& key, const std::string& what) const;
  const std::string& where() const { return where_; }

 private:
  void note(const char* key) const;

  const nlohmann::json& config_;
  std::string where_;
  KeysRead* read_;
  std::string path_;
};

}  // namespace lmms::models
