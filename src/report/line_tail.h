#pragma once
/// Reads a text file that another thread or process appends to: each call gives what is new.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace lmms::report {

class LineTail {
 public:
  explicit LineTail(std::filesystem::path path) : path_(std::move(path)) {}

  /// What a call found.
  enum class Change { none, grown, replaced };
  /// Calls `on_replaced` if the file is another one than before (replaced, cut, gone), then `line`
  /// for each whole line that was not read yet. A last line without a newline waits for the rest of
  /// it. Lines beyond 64 MiB are left out. Never throws: a file that cannot be read has no lines.
  Change read(const std::function<void()>& on_replaced,
              const std::function<void(std::string_view)>& line);

  bool exists() const { return exists_; }
  /// When the file was written last, unix seconds; 0: there is none.
  double modified() const { return modified_; }

 private:
  std::filesystem::path path_;
  bool exists_ = false;
  double modified_ = 0;
  uint64_t device_ = 0, inode_ = 0;
  uint64_t offset_ = 0;    // what lies before it was read
  std::string before_;     // the bytes just before offset_: they prove that it is the same file
  bool skipping_ = false;  // inside a line that is too long
};

}  // namespace lmms::report
