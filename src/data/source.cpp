#include "data/source.h"

#include <glob.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/format.h"
#include "data/formats.h"

namespace lmms::data {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::pair<std::string_view, Format>, 7> kFormats = {{
    {"json", Format::json},
    {"jsonl", Format::jsonl},
    {"csv", Format::csv},
    {"arrow", Format::arrow},
    {"parquet", Format::parquet},
    {"image_folder", Format::image_folder},
    {"latents", Format::latents},
}};

/// Formats whose source is a folder as a whole.
bool is_one_folder(Format format) {
  return format == Format::arrow || format == Format::image_folder || format == Format::latents;
}

/// The file itself, or what a glob matches, in the order of names. Empty: nothing.
std::vector<std::string> expand(const std::string& path) {
  if (fs::exists(path)) return {path};
  glob_t matches{};
  std::vector<std::string> paths;
  if (::glob(path.c_str(), 0, nullptr, &matches) == 0) {
    paths.assign(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  }
  ::globfree(&matches);
  return paths;
}

std::vector<std::string> files_in(const std::string& folder, std::string_view suffix) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == suffix) {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

class Concatenated final : public RecordSource {
 public:
  explicit Concatenated(std::vector<std::unique_ptr<RecordSource>> parts)
      : parts_(std::move(parts)) {
    for (const auto& part : parts_) first_rows_.push_back(first_rows_.back() + part->size());
  }
  int64_t size() const override { return first_rows_.back(); }
  Result<Record> read(int64_t row) const override {
    const auto after = std::upper_bound(first_rows_.begin(), first_rows_.end(), row);
    const auto part = static_cast<size_t>(after - first_rows_.begin() - 1);
    return parts_[part]->read(row - first_rows_[part]);
  }
  std::vector<SourceFile> files() const override {
    std::vector<SourceFile> all;
    for (const auto& part : parts_) {
      for (auto& file : part->files()) all.push_back(std::move(file));
    }
    return all;
  }

 private:
  std::vector<std::unique_ptr<RecordSource>> parts_;
  std::vector<int64_t> first_rows_ = {0};  ///< [parts + 1]
};

Result<std::unique_ptr<RecordSource>> open_one(const std::string& path, Format format,
                                               const SourceLimits& limits) {
  switch (format) {
    case Format::json:
      return open_json(path);
    case Format::jsonl:
      return open_jsonl(path);
    case Format::csv:
      return open_csv(path);
    case Format::arrow:
      return open_arrow(path, limits);
    case Format::parquet:
      return open_parquet({path}, limits);
    case Format::image_folder:
      return open_image_folder(path);
    case Format::latents:
      return open_latents(path);
  }
  return Fault{path, "a format without a reader", ""};
}

}  // namespace

std::optional<Format> parse_format(std::string_view name) {
  for (const auto& [known, format] : kFormats) {
    if (name == known) return format;
  }
  return std::nullopt;
}

std::string_view format_name(Format format) {
  return kFormats[static_cast<size_t>(format)].first;
}

std::optional<Format> infer_format(const std::string& path) {
  if (fs::is_directory(path)) {
    if (fs::exists(fs::path(path) / "state.json") ||
        fs::exists(fs::path(path) / "dataset_dict.json")) {
      return Format::arrow;
    }
    if (is_latent_cache(path)) return Format::latents;
    if (!files_in(path, ".parquet").empty()) return Format::parquet;
    if (is_image_folder(path)) return Format::image_folder;
    return std::nullopt;
  }
  auto suffix = fs::path(path).extension().string();
  if (suffix.empty()) return std::nullopt;
  suffix.erase(0, 1);
  if (suffix == "ndjson") return Format::jsonl;
  if (suffix == "pq") return Format::parquet;
  const auto format = parse_format(suffix);
  return format && *format < Format::image_folder ? format : std::nullopt;
}

Result<std::vector<std::string>> files_of(const std::string& path, Format format) {
  auto paths = expand(path);
  if (paths.empty()) {
    const bool is_glob = path.find_first_of("*?[") != std::string::npos;
    return Fault{path, is_glob ? "no file matches" : "no such file or folder",
                 "paths are taken from the folder that the program runs in"};
  }
  if (paths.size() == 1 && fs::is_directory(paths.front()) && !is_one_folder(format)) {
    paths = files_in(paths.front(), fmt::format(".{}", format_name(format)));
    if (paths.empty()) {
      return Fault{path, fmt::format("the folder holds no .{} file", format_name(format)), ""};
    }
  }
  return paths;
}

Result<std::unique_ptr<RecordSource>> open_source(const std::string& path, Format format,
                                                  const SourceLimits& limits) {
  const auto files = files_of(path, format);
  if (!files) return files.fault();
  const auto& paths = *files;
  if (format == Format::parquet) return open_parquet(paths, limits);  // files share one budget
  std::vector<std::unique_ptr<RecordSource>> parts;
  for (const auto& one : paths) {
    auto part = open_one(one, format, limits);
    if (!part) return part.fault();
    parts.push_back(*std::move(part));
  }
  return concatenate(std::move(parts));
}

std::unique_ptr<RecordSource> concatenate(std::vector<std::unique_ptr<RecordSource>> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  return std::make_unique<Concatenated>(std::move(parts));
}

}  // namespace lmms::data
