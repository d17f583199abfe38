#include "train/finished.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"

namespace lmms::train {
namespace {

constexpr const char* kMark = "finished.json";
constexpr const char* kConfig = "config.resolved.yaml";

}  // namespace

std::optional<int64_t> finished_steps(const std::filesystem::path& output) {
  const auto text = read_file(output / kMark);
  if (!text) return std::nullopt;
  const auto mark = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!mark.is_object() || !mark.contains("step") || !mark["step"].is_number_integer())
    return std::nullopt;
  return mark["step"].get<int64_t>();
}

std::optional<int64_t> finished_steps(const std::filesystem::path& output,
                                      const std::string& resolved_config) {
  const auto config = read_file(output / kConfig);
  if (!config || *config != resolved_config) return std::nullopt;
  return finished_steps(output);
}

void mark_begun(const std::filesystem::path& output, const std::string& resolved_config) {
  std::error_code none;
  std::filesystem::remove(output / kMark, none);
  if (none) {
    throw Error((output / kMark).string(), "cannot be removed: " + none.message(),
                "make the folder writable", Exit::failed);
  }
  write_atomically(output / kConfig, resolved_config);
}

void mark_finished(const std::filesystem::path& output, int64_t steps) {
  write_atomically(output / kMark, nlohmann::json{{"step", steps}}.dump() + "\n");
}

}  // namespace lmms::train
