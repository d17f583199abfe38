#pragma once
/// A config in the making: its lines, each with the reason for it.
#include <string>
#include <string_view>
#include <vector>

#include "core/config/node.h"

namespace lmms::train {

class ConfigDraft {
 public:
  /// Sets a key (dotted, from the root); one that is there already keeps its place. `why`: a
  /// comment, of few words; may be empty.
  void set(const std::string& key, config::Node value, std::string why = "");
  void set(const std::string& key, const char* text, std::string why = "");
  void set(const std::string& key, const std::string& text, std::string why = "");
  void set(const std::string& key, bool value, std::string why = "");
  void set(const std::string& key, int64_t value, std::string why = "");
  void set(const std::string& key, double value, std::string why = "");
  void remove(std::string_view key);

  /// KEY=VALUE words, as a command line would give all of it.
  std::vector<std::string> words() const;
  /// YAML within 80 columns; `head` are the lines of the comment on top. A comment that has no room
  /// behind its line stands above it.
  std::string yaml(const std::vector<std::string>& head) const;

 private:
  struct Setting {
    std::string key;
    config::Node value;
    std::string why;
  };
  std::vector<Setting> settings_;
};

}  // namespace lmms::train
