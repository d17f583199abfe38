#pragma once
/// Gathers every fault of a config, so that the user mends all of them at once.
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/position.h"

namespace lmms::config {

class Faults {
 public:
  /// "POSITION: KEY: WHAT"; an empty key is left out.
  void add(const Position& at, const std::string& key, const std::string& what);
  /// "POSITION: not built yet: KEY=VALUE; expected EXPECTED".
  void add_not_built(const Position& at, const std::string& key, const std::string& value,
                     const std::string& expected);
  /// "POSITION: not built yet: KEY=VALUE (WHAT); leave it out".
  void add_later(const Position& at, const std::string& key, const std::string& value,
                 std::string_view what);
  /// True if a fault names the key itself.
  bool about(const std::string& key) const { return keys_.count(key) != 0; }
  bool empty() const { return faults_.empty(); }
  size_t count() const { return faults_.size(); }
  /// One line a fault, sorted by position. Of very many, the first hundred and a count.
  std::string text() const;
  /// Throws Error(text()), exit code 2, if there is a fault.
  void throw_if_any() const;

 private:
  struct Entry {
    Position at;
    std::string text;
  };
  std::vector<Entry> faults_;
  std::set<std::string> keys_;
};

}  // namespace lmms::config
