#include "checkpoint/finished.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"

namespace lmms::checkpoint {

namespace {

std::optional<int64_t> of_the_mark(const std::filesystem::path& output, const char* key) {
  const auto text = read_file(output / kFinishedFile);
  if (!text) return std::nullopt;
  const auto mark = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!mark.is_object() || !mark.contains(key) || !mark[key].is_number_integer())
    return std::nullopt;
  return mark[key].get<int64_t>();
}

}  // namespace

std::optional<int64_t> finished_steps(const std::filesystem::path& output) {
  return of_the_mark(output, "step");
}

std::optional<int64_t> finished_model_step(const std::filesystem::path& output) {
  return of_the_mark(output, "model_step");
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

void mark_finished(const std::filesystem::path& output, int64_t steps,
                   std::optional<int64_t> model_step) {
  nlohmann::json mark{{"step", steps}};
  if (model_step) mark["model_step"] = *model_step;
  write_atomically(output / kFinishedFile, mark.dump() + "\n");
}

}  // namespace lmms::checkpoint
