#pragma once
/// Gathers every fault of a config, so that the user mends all of them at once.
#include <string>
#include <vector>

#include "core/config/position.h"

namespace lmms::config {

class Faults {
 public:
  /// "POSITION: KEY: WHAT"; an empty key is left out.
  void add(const Position& at, const std::string& key, const std::string& what);
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
};

}  // namespace lmms::config
