#pragma once
/// The mark of a finished run: finished.json in its output folder, written after the final model.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace lmms::checkpoint {

inline constexpr const char* kFinishedFile = "finished.json";
inline constexpr const char* kConfigFile = "config.resolved.yaml";

/// The steps of the run that ended in this folder; nothing if none did, or if training went on
/// since.
std::optional<int64_t> finished_steps(const std::filesystem::path& output);
/// The same, if it was a run of exactly this resolved config.
std::optional<int64_t> finished_steps(const std::filesystem::path& output,
                                      const std::string& resolved_config);

/// At the first step: config.resolved.yaml is now this run's, and the mark of an older one goes.
void mark_begun(const std::filesystem::path& output, const std::string& resolved_config);
/// `model_step`: of the checkpoint that the final model is, where it is not that of the last step.
void mark_finished(const std::filesystem::path& output, int64_t steps,
                   std::optional<int64_t> model_step = std::nullopt);
/// That step; nothing where the final model is the last step's, or no run has ended here.
std::optional<int64_t> finished_model_step(const std::filesystem::path& output);

}  // namespace lmms::checkpoint
