#include "checkpoint/manifest.h"

#include <charconv>

#include "checkpoint/json_file.h"
#include "checkpoint/printable.h"
#include "core/format.h"

namespace lmms::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFile = "manifest.json";
constexpr int64_t kSizesAlone = 1;
constexpr int64_t kFormat = 2;
constexpr const char* kFix = "copy the checkpoint again whole, or remove it";

fs::path file_in(const fs::path& checkpoint) {
  return checkpoint / kResumeFolder / kFile;
}

/// Of all that the manifest says besides it. JSON is dumped in one way only: keys sorted.
std::string own_checksum(nlohmann::json manifest) {
  manifest.erase("checksum");
  return hash_text(hash64(
      manifest.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace)));
}

std::optional<uint64_t> hash_of_text(const nlohmann::json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  uint64_t hash = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), hash, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return hash;
}

bool stays_inside(const fs::path& name) {
  return !name.empty() && name.is_relative() && name == name.lexically_normal() &&
         *name.begin() != "..";
}

/// {"bytes": n, "xxh3": "..."}, or n alone in the format of sizes.
std::optional<FileSum> sum_from(const nlohmann::json& value, bool has_checksums) {
  const auto is_size = [](const nlohmann::json& j) { return j.is_number_unsigned(); };
  if (!has_checksums) {
    if (!is_size(value)) return std::nullopt;
    return FileSum{value.get<uint64_t>(), 0};
  }
  if (!value.is_object() || !value.contains("bytes") || !value.contains("xxh3"))
    return std::nullopt;
  const auto hash = hash_of_text(value["xxh3"]);
  if (!hash || !is_size(value["bytes"])) return std::nullopt;
  return FileSum{value["bytes"].get<uint64_t>(), *hash};
}

}  // namespace

bool is_read_by_runs(const fs::path& name) {
  return name.extension() == ".safetensors" ||
         name.filename().string().ends_with(".safetensors.index.json") ||
         *name.begin() == kResumeFolder;
}

void write_manifest(const fs::path& checkpoint, int64_t step, const FileSums& written) {
  std::vector<fs::path> names, unsummed;
  for (const auto& entry : fs::recursive_directory_iterator(checkpoint)) {
    if (!entry.is_regular_file() || entry.path() == file_in(checkpoint)) continue;
    names.push_back(entry.path());
    if (!written.contains(entry.path())) unsummed.push_back(entry.path());
  }
  FileSums sums = written;
  auto read = sums_of(unsummed);
  for (size_t i = 0; i < unsummed.size(); ++i) sums[unsummed[i]] = std::move(read[i]).take();

  auto files = nlohmann::json::object();
  for (const auto& path : names) {
    const FileSum& sum = sums.at(path);
    files[path.lexically_relative(checkpoint).generic_string()] = {
        {"bytes", sum.bytes}, {"xxh3", hash_text(sum.checksum)}};
  }
  nlohmann::json manifest = {{"format", kFormat}, {"step", step}, {"files", std::move(files)}};
  manifest["checksum"] = own_checksum(manifest);
  write_json(file_in(checkpoint), manifest);
}

Result<Manifest> read_manifest(const fs::path& checkpoint) {
  const fs::path path = file_in(checkpoint);
  const std::string where = path.string();
  std::error_code error;
  if (!fs::exists(path, error))
    return Fault{checkpoint.string(),
                 fmt::format("holds no {}/{}: not written by this program, or not whole",
                             kResumeFolder, kFile),
                 kFix};
  const auto content = read_json_object(path);
  if (!content) return content.fault();
  const auto field = [&](const char* name) -> const nlohmann::json& {
    static const nlohmann::json kNull;
    const auto found = content->find(name);
    return found == content->end() ? kNull : *found;
  };
  Manifest manifest;
  manifest.has_checksums = field("format") != kSizesAlone;
  if (manifest.has_checksums && field("format") != kFormat)
    return Fault{where, fmt::format("format should be {} or {}", kSizesAlone, kFormat),
                 "it is damaged, or was written by another version of this program"};
  if (manifest.has_checksums && field("checksum") != own_checksum(*content))
    return Fault{where, "is damaged: it does not fit its own checksum", kFix};
  if (!field("step").is_number_integer()) return Fault{where, "should hold a step", kFix};
  manifest.step = field("step").get<int64_t>();
  if (!field("files").is_object()) return Fault{where, "should hold files", kFix};
  for (const auto& [name, value] : field("files").items()) {
    const auto sum = sum_from(value, manifest.has_checksums);
    if (!sum || !stays_inside(name))
      return Fault{where, fmt::format("files: {} is none of this checkpoint", printable(name)),
                   kFix};
    manifest.files.emplace(name, *sum);
  }
  return manifest;
}

Comparison compare_with_manifest(const fs::path& checkpoint) {
  Comparison result;
  const auto manifest = read_manifest(checkpoint);
  if (!manifest) {
    result.damage = manifest.fault();
    return result;
  }
  result.has_checksums = manifest->has_checksums;
  if (!result.has_checksums) return result;
  std::vector<fs::path> paths;
  for (const auto& [name, sum] : manifest->files) paths.push_back(checkpoint / name);
  const auto sums = sums_of(paths);
  auto now = sums.begin();
  for (const auto& [name, saved] : manifest->files) {
    const Result<FileSum>& there = *now++;
    if (there && *there == saved) continue;
    if (!is_read_by_runs(name)) {
      result.edited.push_back(name);
    } else if (!result.damage) {
      result.damage = there
                          ? Fault{(checkpoint / name).string(),
                                  "is damaged: its bytes are no longer those that were saved", kFix}
                          : there.fault();
    }
  }
  return result;
}

}  // namespace lmms::checkpoint
