#include "data/head.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "core/format.h"
#include "data/dataset.h"
#include "data/formats.h"

namespace lmms::data {
namespace fs = std::filesystem;
namespace {

/// A file whose rows can be read in any order.
class IndexedCursor final : public RowCursor {
 public:
  explicit IndexedCursor(std::unique_ptr<RecordSource> source) : source_(std::move(source)) {}

  std::optional<Result<Record>> next() override {
    if (row_ >= source_->size()) return std::nullopt;
    return source_->read(row_++);
  }

  std::optional<Fault> seek(int64_t number) override {
    if (number > source_->size()) {
      return Fault{"", fmt::format("there are {} rows", source_->size()), ""};
    }
    row_ = number - 1;
    return std::nullopt;
  }

 private:
  std::unique_ptr<RecordSource> source_;
  int64_t row_ = 0;
};

/// A whole number above 0, and nothing else.
std::optional<int64_t> row_number(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1) return std::nullopt;
  return number;
}

fs::path plain(const std::string& path) {
  return fs::path(path).lexically_normal();
}

/// Whether `path` ends with the components of `end`.
bool ends_with(const std::string& path, const std::string& end) {
  const fs::path whole = plain(path), tail = plain(end);
  const auto parts = std::distance(tail.begin(), tail.end());
  const auto all = std::distance(whole.begin(), whole.end());
  return parts <= all &&
         std::equal(tail.begin(), tail.end(), std::next(whole.begin(), all - parts));
}

bool lies_in(const std::string& file, const std::string& folder) {
  const fs::path inside = plain(file).lexically_relative(plain(folder));
  return !inside.empty() && *inside.begin() != "..";
}

int64_t bytes_of(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    const auto bytes = fs::file_size(path, error);
    return error ? 0 : static_cast<int64_t>(bytes);
  }
  int64_t sum = 0;
  for (fs::recursive_directory_iterator at(path, error), end; at != end; at.increment(error)) {
    if (error) break;
    std::error_code failed;
    const auto bytes = at->is_regular_file(failed) ? at->file_size(failed) : 0;
    if (!failed) sum += static_cast<int64_t>(bytes);
  }
  return sum;
}

/// A list for a message, cut where it is long.
std::string list_of(const std::vector<std::string>& names) {
  constexpr size_t kMost = 5;
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kMost); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMost) text += fmt::format(" and {} more", names.size() - kMost);
  return text;
}

}  // namespace

std::string RowCursor::next_row_is(int64_t line) {
  return fmt::format("the next row is on line {}", line);
}

Result<std::unique_ptr<RowCursor>> open_cursor(const std::string& file, Format format) {
  Result<std::unique_ptr<RecordSource>> source = Fault{};
  switch (format) {
    case Format::json:
      return json_cursor(file);
    case Format::jsonl:
      return jsonl_cursor(file);
    case Format::csv:
      return csv_cursor(file);
    case Format::arrow:
      source = open_arrow(file, {});
      break;
    case Format::parquet:
      source = open_parquet({file}, {});
      break;
    case Format::image_folder:
      source = open_image_folder(file);
      break;
    case Format::latents:
      source = open_latents(file);
      break;
  }
  if (!source) return source.fault();
  return std::unique_ptr<RowCursor>(std::make_unique<IndexedCursor>(*std::move(source)));
}

Result<SourceHead> SourceHead::open(const SourceConfig& config) {
  SourceHead head;
  const auto format = format_of(config);
  if (!format) return format.fault();
  auto files = files_of(config.path, *format);
  if (!files) return files.fault();
  auto cursor = open_cursor(files->front(), *format);
  if (!cursor) return cursor.fault();
  head.format_ = *format;
  head.files_ = *std::move(files);
  head.data_folder_ = std::make_shared<const std::string>(config.data_folder);
  head.cursor_ = *std::move(cursor);
  for (const auto& file : head.files_) head.total_bytes_ += bytes_of(file);
  return head;
}

std::optional<Result<Record>> SourceHead::next() {
  for (;;) {
    if (auto row = cursor_->next()) {
      if (*row) (**row).data_folder = data_folder_;
      return row;
    }
    if (file_ + 1 >= files_.size()) return std::nullopt;
    bytes_before_ += cursor_->bytes_passed().value_or(0);
    cursor_ = open_cursor(files_[++file_], format_).take();
  }
}

std::optional<int64_t> SourceHead::bytes_passed() const {
  const auto bytes = cursor_->bytes_passed();
  if (!bytes) return std::nullopt;
  return bytes_before_ + *bytes;
}

Result<NamedRows::File> NamedRows::only_file(int32_t source, const std::string& name) const {
  const auto& config = sources_[static_cast<size_t>(source)];
  const auto format = format_of(config);
  if (!format) return format.fault();
  const auto files = files_of(config.path, *format);
  if (!files) return files.fault();
  if (files->size() > 1) {
    return Fault{name, fmt::format("'{}' has {} files", config.path, files->size()),
                 fmt::format("name the file: {}:ROW", files->front())};
  }
  return File{source, files->front()};
}

/// `place`: what stands before the row's number in `name`.
Result<NamedRows::File> NamedRows::find(const std::string& name, const std::string& place) const {
  std::vector<File> same, similar;
  std::vector<std::string> known;
  for (size_t s = 0; s < sources_.size(); ++s) {
    const auto format = format_of(sources_[s]);
    if (!format) return format.fault();
    const auto files = files_of(sources_[s].path, *format);
    if (!files) return files.fault();
    for (const auto& file : *files) {
      const auto source = static_cast<int32_t>(s);
      known.push_back(file);
      if (plain(file) == plain(place)) same.push_back({source, file});
      if (ends_with(file, place)) similar.push_back({source, file});
      // A shard of a saved data set, under whose name its rows are printed.
      std::error_code error;
      if (fs::is_directory(file, error) && lies_in(place, file) &&
          fs::is_regular_file(place, error)) {
        same.push_back({source, place});
      }
    }
  }
  if (!same.empty()) return same.front();  // of a file that several sources name, the first
  if (similar.empty()) {
    if (const auto number = row_number(place)) {
      if (*number <= static_cast<int64_t>(sources_.size())) {
        return only_file(static_cast<int32_t>(*number - 1), name);
      }
      return Fault{name, fmt::format("there is no source {}: there are {}", place, sources_.size()),
                   ""};
    }
    return Fault{name, fmt::format("no source reads '{}'", place),
                 "the sources read " + list_of(known)};
  }
  if (similar.size() > 1) {
    std::vector<std::string> paths;
    for (const auto& file : similar) paths.push_back(file.path);
    return Fault{name, fmt::format("'{}' fits {} files", place, similar.size()),
                 "write more of its path: " + list_of(paths)};
  }
  return similar.front();
}

Result<NamedRows::Found> NamedRows::read(const std::string& name) {
  const size_t colon = name.rfind(':');
  const bool whole = colon == std::string::npos;
  const auto number = row_number(std::string_view(name).substr(whole ? 0 : colon + 1));
  if (!number || colon == 0) {
    return Fault{name, "names no row; expected FILE:ROW, SOURCE:ROW or ROW, counted from 1",
                 "as errors print them: chats.jsonl:18233"};
  }
  if (whole && sources_.size() != 1) {
    return Fault{name, fmt::format("the row of which of {} sources?", sources_.size()),
                 fmt::format("write SOURCE:ROW (1:{}) or FILE:ROW", name)};
  }
  const auto file = whole ? only_file(0, name) : find(name, name.substr(0, colon));
  if (!file) return file.fault();
  const auto& config = sources_[static_cast<size_t>(file->source)];
  auto& cursor = cursors_[file->path];
  if (!cursor) {
    const auto format = format_of(config);
    if (!format) return format.fault();
    auto opened = open_cursor(file->path, *format);
    if (!opened) return opened.fault();
    cursor = *std::move(opened);
  }
  if (auto fault = cursor->seek(*number)) {
    return Fault{name, fmt::format("no such row: {}", fault->what), fault->fix};
  }
  auto record = cursor->next();
  if (!record) return Fault{name, "no such row", ""};
  if (*record) (**record).data_folder = std::make_shared<const std::string>(config.data_folder);
  return Found{file->source, *std::move(record)};
}

}  // namespace lmms::data
