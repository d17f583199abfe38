#include <algorithm>
#include <thread>

#include "core/files.h"
#include "core/format.h"
#include "data/formats.h"
#include "data/json_text.h"
#include "data/line_index.h"

namespace lmms::data {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view without_mark(std::string_view text) {
  return text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
}

/// Files that are no text in UTF-8, told by their first bytes.
std::optional<Fault> not_text(const std::string& path, std::string_view bytes) {
  if (bytes.starts_with("\x1F\x8B"))
    return Fault{path, "is compressed by gzip; expected text", "unpack it: gunzip " + path};
  if (bytes.starts_with("\x28\xB5\x2F\xFD"))
    return Fault{path, "is compressed by zstd; expected text", "unpack it: unzstd " + path};
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF"))
    return Fault{path, "is UTF-16; expected UTF-8", "iconv -f UTF-16 -t UTF-8 " + path};
  return std::nullopt;
}

Result<MappedFile> open_text(const std::string& path) {
  auto file = MappedFile::open(path);
  if (file) {
    if (auto fault = not_text(path, file->text())) return *std::move(fault);
  }
  return file;
}

Result<Record> read_line(const std::shared_ptr<const std::string>& path,
                         const LineIndex::Line& line) {
  Record record{.origin = {path, line.number}, .fields = {}, .data_folder = nullptr};
  auto value = parse_json(line.text);
  if (!value) return Fault{record.origin.text(), value.fault().what, ""};
  if (!value->is_object()) {
    return Fault{record.origin.text(),
                 fmt::format("expected a JSON object on the line, found {}{}", value->type_name(),
                             value->is_array() && line.number == 1
                                 ? "; a file that is one list is dataset_format: json"
                                 : ""),
                 ""};
  }
  record.fields = *std::move(value);
  return record;
}

class JsonlSource final : public RecordSource {
 public:
  JsonlSource(std::string path, MappedFile file)
      : path_(std::make_shared<const std::string>(std::move(path))),
        file_(std::move(file)),
        lines_(without_mark(file_.text()),
               std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 8)) {}

  int64_t size() const override { return lines_.size(); }

  Result<Record> read(int64_t row) const override { return read_line(path_, lines_.line(row)); }

  std::vector<SourceFile> files() const override {
    return {{*path_, SourceFile::Kind::text, without_mark(file_.text()), lines_.hash()}};
  }

 private:
  std::shared_ptr<const std::string> path_;
  MappedFile file_;
  LineIndex lines_;
};

class JsonlCursor final : public RowCursor {
 public:
  JsonlCursor(std::string path, MappedFile file)
      : path_(std::make_shared<const std::string>(std::move(path))),
        file_(std::move(file)),
        lines_(without_mark(file_.text())) {}

  std::optional<Result<Record>> next() override {
    const auto line = lines_.next();
    if (!line) return std::nullopt;
    return read_line(path_, *line);
  }

  std::optional<Fault> seek(int64_t number) override {
    if (!lines_.seek(number)) return Fault{"", "the file ends before this line", ""};
    LineWalker peek = lines_;
    const auto line = peek.next();
    if (line && line->number == number) return std::nullopt;
    return Fault{"", "the line is blank", line ? next_row_is(line->number) : ""};
  }

  std::optional<int64_t> bytes_passed() const override {
    return static_cast<int64_t>(lines_.offset());
  }

 private:
  std::shared_ptr<const std::string> path_;
  MappedFile file_;
  LineWalker lines_;
};

}  // namespace

Result<std::unique_ptr<RowCursor>> jsonl_cursor(const std::string& path) {
  auto file = open_text(path);
  if (!file) return file.fault();
  return std::unique_ptr<RowCursor>(std::make_unique<JsonlCursor>(path, *std::move(file)));
}

Result<std::unique_ptr<RecordSource>> open_jsonl(const std::string& path) {
  auto file = open_text(path);
  if (!file) return file.fault();
  return std::unique_ptr<RecordSource>(std::make_unique<JsonlSource>(path, *std::move(file)));
}

}  // namespace lmms::data
