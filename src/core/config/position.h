#pragma once
/// Where in a config something stands.
#include <memory>
#include <string>
#include <tuple>

namespace lmms::config {

/// A place in a file, or a word of the command line (line 0, column the number of the word).
struct Position {
  std::shared_ptr<const std::string> source;
  int line = 0;    ///< from 1; 0: the command line
  int column = 0;  ///< from 1

  bool known() const { return source != nullptr; }
  /// "train.yaml:3:5", "command line"; empty if unknown.
  std::string text() const;
  /// Files first, by line and column, then the command line, word by word.
  friend bool operator<(const Position& a, const Position& b) {
    return std::tuple(a.known() && a.line == 0, a.line, a.column) <
           std::tuple(b.known() && b.line == 0, b.line, b.column);
  }
};

}  // namespace lmms::config
