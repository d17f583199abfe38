#pragma once
/// The lines that were typed into `lmms chat`, kept from one talk to the next.
#include <filesystem>
#include <string>
#include <vector>

namespace lmms::app {

/// A file of the last thousand lines, which its owner alone may read, replaced whole at every line:
/// of two talks beside each other both are kept. A file that cannot be written is warned of once.
class ChatHistory {
 public:
  /// `file` empty: nothing is kept.
  explicit ChatHistory(std::filesystem::path file) : file_(std::move(file)) {}

  /// Oldest first.
  std::vector<std::string> lines() const;
  void add(const std::string& line);

 private:
  std::filesystem::path file_;
  bool failed_ = false;
};

}  // namespace lmms::app
