#pragma once
/// Checksums of files: taken while the bytes are written, read again by several threads.
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"

namespace lmms::checkpoint {

/// Bytes of a file that one thread hashes at a time.
inline constexpr uint64_t kChecksumPiece = uint64_t{16} << 20;

/// What tells a file from a damaged one.
struct FileSum {
  uint64_t bytes = 0;
  /// XXH3-64 of the XXH3-64s (little-endian) of the file's pieces, the last of which is shorter.
  uint64_t checksum = 0;
  bool operator==(const FileSum&) const = default;
};

/// By path.
using FileSums = std::map<std::filesystem::path, FileSum>;

/// Sums bytes that pass by.
class SumOfBytes {
 public:
  void add(std::span<const std::byte> bytes);
  /// Of all bytes that were added; call it once, at the end.
  FileSum finish();

 private:
  void close_piece();
  Hash64 pieces_, piece_;
  uint64_t bytes_ = 0, in_piece_ = 0;
};

/// A file being written, summed as it grows. Throws Error as OutputFile does.
class SummedFile {
 public:
  explicit SummedFile(std::filesystem::path path) : file_(std::move(path)) {}
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// fsync and close.
  FileSum finish();

 private:
  OutputFile file_;
  SumOfBytes sum_;
};

/// Reads the files once, as fast as `threads` threads can (0: one for each processor, at most 16),
/// and leaves them in the page cache for whoever loads them next. The fault names the file that
/// cannot be read, of a failing disk too.
std::vector<Result<FileSum>> sums_of(const std::vector<std::filesystem::path>& files,
                                     unsigned threads = 0);

}  // namespace lmms::checkpoint
