#include "checkpoint/finished.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"

namespace lmms::checkpoint {

std::optional<int64_t> finished_steps(const std::filesystem::path& output) {
  const auto text = read_file(output / kFinishedFile);
  if (!text) return std::nullopt;
  const auto mark = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!mark.is_object() || !mark.contains("step") || !mark["step"].is_number_integer())
    return std::nullopt;
  return mark["step"].get<int64_t>();
}

std::optional<int64_t> finished_steps(const std::filesystem::path& output,
                                      const std::string& resolved_config) {
  const auto config = read_file(output / kConfigFile);
  if (!config || *config != resolved_config) return std::nullopt;
  return finished_steps(output);
}

void mark_begun(const std::filesystem::path& output, const std::string& resolved_config) {
  std::error_code none;
  std::filesystem::remove(output / kFinishedFile, none);
  if (none) {
    throw Error((output / kFinishedFile).string(), "cannot be removed: " + none.message(),
                "make the folder writable", Exit::failed);
  }
  write_atomically(output / kConfigFile, resolved_config);
}

void mark_finished(const std::filesystem::path& output, int64_t steps) {
  write_atomically(output / kFinishedFile, nlohmann::json{{"step", steps}}.dump() + "\n");
}

}  // namespace lmms::checkpoint
