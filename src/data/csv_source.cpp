#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "core/files.h"
#include "core/format.h"
#include "data/formats.h"
#include "data/unreadable.h"

namespace lmms::data {
namespace {

constexpr int64_t kStride = 16;

/// Walks one record of RFC 4180 after another. A quote opens a quoted value only at the start of a
/// cell, so that the walk and the reading of values agree about where a record ends.
class CsvWalker {
 public:
  CsvWalker(std::string_view text, size_t offset, int64_t line)
      : text_(text), offset_(offset), line_(line) {}

  size_t offset() const { return offset_; }
  int64_t line() const { return line_; }
  /// The line that the record passed last ends on.
  int64_t last_line() const { return line_ - (offset_ > 0 && text_[offset_ - 1] == '\n'); }

  /// To the next record, over blank lines; false at the end of the text.
  bool find() {
    while (offset_ < text_.size()) {
      const auto rest = text_.substr(offset_, 2);
      if (rest != "\r" && rest != "\r\n" && rest[0] != '\n') return true;
      offset_ += rest[0] == '\n' ? 1 : rest.size();
      ++line_;
    }
    return false;
  }

  /// Passes the record; `cells`, if given, gets its values. Returns what is wrong with it, if
  /// anything: a quote that is never closed, text after a closing quote.
  std::optional<std::string> pass(std::vector<std::string>* cells) {
    std::optional<std::string> problem;
    for (;;) {
      std::string value;
      if (offset_ < text_.size() && text_[offset_] == '"') {
        pass_quoted(cells ? &value : nullptr, problem);
      } else {
        auto plain = pass_plain();
        if (plain.ends_with('\r') && at_line_end()) plain.remove_suffix(1);
        if (cells) value = plain;
      }
      if (cells) cells->push_back(std::move(value));
      if (offset_ >= text_.size()) return problem;
      if (text_[offset_++] == '\n') {
        ++line_;
        return problem;
      }
    }
  }

 private:
  bool at_line_end() const { return offset_ >= text_.size() || text_[offset_] == '\n'; }

  /// To the comma or the end of the line.
  std::string_view pass_plain() {
    const size_t begin = offset_;
    while (offset_ < text_.size() && text_[offset_] != ',' && text_[offset_] != '\n') ++offset_;
    return text_.substr(begin, offset_ - begin);
  }

  void pass_quoted(std::string* value, std::optional<std::string>& problem) {
    const int64_t opened = line_;
    ++offset_;
    for (;;) {
      const size_t quote = std::min(text_.find('"', offset_), text_.size());
      const auto piece = text_.substr(offset_, quote - offset_);
      line_ += std::count(piece.begin(), piece.end(), '\n');
      if (value) value->append(piece);
      offset_ = quote + 1;
      if (quote == text_.size()) {
        offset_ = quote;
        if (!problem) problem = fmt::format("a quote opened on line {} is never closed", opened);
        return;
      }
      if (offset_ >= text_.size() || text_[offset_] != '"') break;
      if (value) value->push_back('"');
      ++offset_;
    }
    const auto rest = pass_plain();
    if (!problem && !rest.empty() && !(rest == "\r" && at_line_end())) {
      problem =
          fmt::format("text after the closing quote of a value that opened on line {}", opened);
    }
  }

  std::string_view text_;
  size_t offset_;
  int64_t line_;
};

constexpr size_t start_of(std::string_view text) {
  return text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
}

/// Reads the header; the walker is then behind it.
std::optional<Fault> read_header(CsvWalker& walker, const std::string& path,
                                 std::vector<std::string>& columns) {
  if (!walker.find()) return Fault{path, "the file is empty; expected a header row", ""};
  const auto where = fmt::format("{}:{}", path, walker.line());
  if (auto problem = walker.pass(&columns)) return Fault{where, *problem, ""};
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto& name = columns[i];
    if (!simdjson::validate_utf8(name.data(), name.size())) {
      return Fault{where, fmt::format("the name of column {} is not valid UTF-8", i + 1), ""};
    }
    if (std::find(columns.begin(), columns.begin() + static_cast<int64_t>(i), name) !=
        columns.begin() + static_cast<int64_t>(i)) {
      return Fault{where, fmt::format("two columns are named '{}'", name), "rename one of them"};
    }
  }
  return std::nullopt;
}

/// Reads the record that the walker has found.
Result<Record> read_row(CsvWalker& walker, const std::shared_ptr<const std::string>& path,
                        const std::vector<std::string>& columns) {
  Record record{.origin = {path, walker.line()}, .fields = {}, .data_folder = nullptr};
  const auto fault = [&](std::string what) {
    return Fault{record.origin.text(), std::move(what), ""};
  };
  std::vector<std::string> cells;
  if (auto problem = walker.pass(&cells)) return fault(*problem);
  if (cells.size() != columns.size()) {
    return fault(fmt::format("expected {} values, one for each column of the header, found {}",
                             columns.size(), cells.size()));
  }
  record.fields = Json::object();
  for (size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].empty()) continue;
    if (simdjson::validate_utf8(cells[i].data(), cells[i].size())) {
      record.fields[columns[i]] = std::move(cells[i]);
    } else {
      record.fields[columns[i]] = unreadable_value("not valid UTF-8");
    }
  }
  return record;
}

class CsvSource final : public RecordSource {
 public:
  CsvSource(std::string path, MappedFile file)
      : path_(std::make_shared<const std::string>(std::move(path))), file_(std::move(file)) {}

  /// Reads the header and finds the records.
  std::optional<Fault> index() {
    const auto text = file_.text();
    CsvWalker walker(text, start_of(text), 1);
    if (auto fault = read_header(walker, *path_, columns_)) return fault;
    for (; walker.find(); ++rows_) {
      if (rows_ % kStride == 0) anchors_.push_back({walker.offset(), walker.line()});
      walker.pass(nullptr);  // what is wrong inside comes up when the row is read
    }
    return std::nullopt;
  }

  int64_t size() const override { return rows_; }

  Result<Record> read(int64_t row) const override {
    const auto& anchor = anchors_[static_cast<size_t>(row / kStride)];
    CsvWalker walker(file_.text(), anchor.offset, anchor.line);
    walker.find();
    for (int64_t i = 0; i < row % kStride; ++i) {
      walker.pass(nullptr);
      walker.find();
    }
    return read_row(walker, path_, columns_);
  }

  std::vector<SourceFile> files() const override {
    return {{*path_, SourceFile::Kind::text, file_.text(), std::nullopt}};
  }

 private:
  struct Anchor {
    size_t offset = 0;
    int64_t line = 0;
  };
  std::shared_ptr<const std::string> path_;
  MappedFile file_;
  std::vector<std::string> columns_;
  std::vector<Anchor> anchors_;
  int64_t rows_ = 0;
};

class CsvCursor final : public RowCursor {
 public:
  CsvCursor(std::string path, MappedFile file)
      : path_(std::make_shared<const std::string>(std::move(path))),
        file_(std::move(file)),
        first_(file_.text(), start_of(file_.text()), 1),
        walker_(first_) {}

  std::optional<Fault> begin() {
    auto fault = read_header(first_, *path_, columns_);
    walker_ = first_;
    return fault;
  }

  std::optional<Result<Record>> next() override {
    if (!walker_.find()) return std::nullopt;
    return read_row(walker_, path_, columns_);
  }

  /// To the record that has a part on the line.
  std::optional<Fault> seek(int64_t number) override {
    if (number <= walker_.last_line()) walker_ = first_;
    if (number <= walker_.last_line()) return Fault{"", "this line is the header", ""};
    while (walker_.find()) {
      if (walker_.line() > number) {
        return Fault{"", "the line is blank", next_row_is(walker_.line())};
      }
      const CsvWalker here = walker_;
      walker_.pass(nullptr);
      if (walker_.last_line() < number) continue;
      walker_ = here;
      return std::nullopt;
    }
    return Fault{"", "the file ends before this line", ""};
  }

  std::optional<int64_t> bytes_passed() const override {
    return static_cast<int64_t>(walker_.offset());
  }

 private:
  std::shared_ptr<const std::string> path_;
  MappedFile file_;
  std::vector<std::string> columns_;
  CsvWalker first_;   ///< behind the header
  CsvWalker walker_;  ///< before the next record
};

}  // namespace

Result<std::unique_ptr<RowCursor>> csv_cursor(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.fault();
  auto cursor = std::make_unique<CsvCursor>(path, *std::move(file));
  if (auto fault = cursor->begin()) return *std::move(fault);
  return std::unique_ptr<RowCursor>(std::move(cursor));
}

Result<std::unique_ptr<RecordSource>> open_csv(const std::string& path) {
  auto file = MappedFile::open(path);
  if (!file) return file.fault();
  auto source = std::make_unique<CsvSource>(path, *std::move(file));
  if (auto fault = source->index()) return *std::move(fault);
  return std::unique_ptr<RecordSource>(std::move(source));
}

}  // namespace lmms::data
