#pragma once
/// Files that a kill cannot tear, and files that are read where they lie.
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"

namespace lmms {

/// A whole file mapped read-only. Movable, unmapped on destruction. An empty file has an empty
/// span.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  MappedFile(const std::byte* data, size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

Result<std::string> read_file(const std::filesystem::path& path);
/// Whether the last line of a file has no end: a kill tore it.
bool ends_inside_a_line(const std::filesystem::path& path);

/// Who may read a new file: all whom the umask lets, or its owner alone.
enum class Readers { all, owner };

/// A file being written. Every failure (a full disk) throws Error naming the path, with
/// Exit::failed.
class OutputFile {
 public:
  /// Creates or truncates; `append` continues an existing file.
  enum class Open { truncate, append };
  explicit OutputFile(std::filesystem::path path, Open mode = Open::truncate,
                      Readers readers = Readers::all);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Writes at an offset; the file grows as needed.
  void write_at(uint64_t offset, std::span<const std::byte> bytes);
  /// fsync: what was written survives a loss of power.
  void sync();
  void close();

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

/// Replaces `path` whole: temporary name in the same folder, fsync, rename, fsync of the folder. If
/// that fails, the old file and no temporary one are left.
void write_atomically(const std::filesystem::path& path, std::string_view text,
                      Readers readers = Readers::all);
/// fsync of a folder, so that a rename in it survives a loss of power.
void sync_directory(const std::filesystem::path& dir);

}  // namespace lmms
