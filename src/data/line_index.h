#pragma once
/// Where the rows of a text file begin, in little memory: every 16th row is remembered. The same
/// pass makes a hash of the text.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "data/fingerprint.h"

namespace lmms::data {

/// Lines of a text that are not blank. A blank line (spaces, tabs, a carriage return) is no row,
/// but it counts in the numbers of the lines after it.
class LineIndex {
 public:
  struct Line {
    std::string_view text;  ///< without "\n"
    int64_t number = 0;     ///< counted from 1, as editors do
  };

  /// Scans the text once, pieces of `chunk_bytes` in parallel. The text must outlive the index.
  explicit LineIndex(std::string_view text, size_t threads = 1, size_t chunk_bytes = kHashPiece);
  int64_t size() const { return rows_; }
  /// text_hash() of the text, if chunks are of kHashPiece bytes.
  uint64_t hash() const;
  /// Row i < size(), in O(16 lines).
  Line line(int64_t i) const;

 private:
  struct Anchor {
    size_t offset = 0;
    int64_t line = 0;  ///< lines of the chunk before it
  };
  struct Chunk {
    int64_t rows = 0, lines = 0;
    int64_t first_row = 0, first_line = 0;
    uint64_t hash = 0;
    std::vector<Anchor> anchors;  ///< of rows 0, 16, 32, ... of the chunk
  };
  Chunk scan(size_t begin, size_t end) const;

  std::string_view text_;
  std::vector<Chunk> chunks_;
  int64_t rows_ = 0;
};

/// The same lines one after another, without an index: nothing behind the last one that was given
/// is looked at. The text must outlive it.
class LineWalker {
 public:
  explicit LineWalker(std::string_view text) : text_(text) {}
  /// The next line that is not blank; nullopt at the end of the text.
  std::optional<LineIndex::Line> next();
  /// To the start of a line, counted from 1, by newlines alone; false if the text ends before it.
  /// Then next() gives that line, or the first behind it that is not blank.
  bool seek(int64_t number);
  /// Bytes of the text before the next line.
  size_t offset() const { return offset_; }

 private:
  std::string_view text_;
  size_t offset_ = 0;
  int64_t number_ = 1;  ///< of the line at offset_
};

}  // namespace lmms::data
