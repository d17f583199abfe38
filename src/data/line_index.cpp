#include "data/line_index.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "core/hash.h"

namespace lmms::data {
namespace {

constexpr int64_t kStride = 16;

/// The end of the line that starts at `start`: its newline, or the end of the text.
size_t line_end(std::string_view text, size_t start) {
  const void* newline = std::memchr(text.data() + start, '\n', text.size() - start);
  return newline ? static_cast<size_t>(static_cast<const char*>(newline) - text.data())
                 : text.size();
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

LineIndex::LineIndex(std::string_view text, size_t threads, size_t chunk_bytes) : text_(text) {
  chunks_.resize((text.size() + chunk_bytes - 1) / chunk_bytes);
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t c; (c = next++) < chunks_.size();) {
      chunks_[c] = scan(c * chunk_bytes, std::min(text_.size(), (c + 1) * chunk_bytes));
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < std::min(threads, chunks_.size()); ++i) helpers.emplace_back(work);
    work();
  }
  int64_t lines = 0;
  for (auto& chunk : chunks_) {
    chunk.first_row = rows_;
    chunk.first_line = lines;
    rows_ += chunk.rows;
    lines += chunk.lines;
  }
}

/// The lines whose first byte lies in [begin, end).
LineIndex::Chunk LineIndex::scan(size_t begin, size_t end) const {
  Chunk chunk;
  chunk.hash = hash64(text_.substr(begin, end - begin));  // brings it near for what follows
  size_t start = begin == 0 ? 0 : line_end(text_, begin - 1) + 1;
  while (start < end) {
    const size_t stop = line_end(text_, start);
    if (!is_blank(text_.substr(start, stop - start))) {
      if (chunk.rows % kStride == 0) chunk.anchors.push_back({start, chunk.lines});
      ++chunk.rows;
    }
    ++chunk.lines;
    start = stop + 1;
  }
  return chunk;
}

uint64_t LineIndex::hash() const {
  std::vector<uint64_t> pieces;
  for (const auto& chunk : chunks_) pieces.push_back(chunk.hash);
  return hash_of_pieces(pieces);
}

LineIndex::Line LineIndex::line(int64_t i) const {
  const auto after =
      std::upper_bound(chunks_.begin(), chunks_.end(), i,
                       [](int64_t row, const Chunk& c) { return row < c.first_row; });
  const Chunk& chunk = *std::prev(after);
  const int64_t local = i - chunk.first_row;
  const Anchor& anchor = chunk.anchors[static_cast<size_t>(local / kStride)];
  size_t start = anchor.offset;
  int64_t number = chunk.first_line + anchor.line + 1;
  for (int64_t to_pass = local % kStride;; ++number) {
    const size_t stop = line_end(text_, start);
    const auto text = text_.substr(start, stop - start);
    if (!is_blank(text) && to_pass-- == 0) return {text, number};
    start = stop + 1;
  }
}

std::optional<LineIndex::Line> LineWalker::next() {
  while (offset_ < text_.size()) {
    const size_t stop = line_end(text_, offset_);
    const auto text = text_.substr(offset_, stop - offset_);
    offset_ = std::min(stop + 1, text_.size());
    if (const int64_t number = number_++; !is_blank(text)) return LineIndex::Line{text, number};
  }
  return std::nullopt;
}

bool LineWalker::seek(int64_t number) {
  if (number < number_) {
    offset_ = 0;
    number_ = 1;
  }
  for (; number_ < number && offset_ < text_.size(); ++number_) {
    offset_ = std::min(line_end(text_, offset_) + 1, text_.size());
  }
  return number_ == number && offset_ < text_.size();
}

}  // namespace lmms::data
