#include "train/output_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/finished.h"
#include "checkpoint/side_files.h"
#include "core/files.h"
#include "core/format.h"
#include "core/log.h"
#include "step/state_files.h"
#include "train/config_changes.h"
#include "train/tensorboard.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOld = "old";

/// What is moved together; a kill leaves it under the name of `staging`.
struct Move {
  const char* staging;
  bool history;  ///< metrics, journal, report and events too
};
constexpr Move kWholeRun{".moving-aside", true};
constexpr Move kModelAlone{".moving-aside-model", false};

/// The folders directly in the output folder that hold models.
std::vector<std::string> entries_with_models() {
  std::vector<std::string> out;
  for (const std::string& folder : model_folders())
    if (!folder.empty()) out.push_back(fs::path(folder).begin()->string());
  return out;
}

bool may_hold_a_model(const fs::path& entry) {
  const std::vector<std::string> entries = entries_with_models();
  return std::find(entries.begin(), entries.end(), entry.string()) != entries.end();
}

fs::path resolved(const fs::path& path) {
  std::error_code ignored;
  fs::path whole = fs::weakly_canonical(path, ignored);
  return whole.empty() ? fs::absolute(path).lexically_normal() : whole;
}

bool is_checkpoint_name(std::string_view name) {
  constexpr std::string_view kPrefix = "checkpoint-";
  return name.starts_with(kPrefix) && name.size() > kPrefix.size() &&
         name.find_first_not_of("0123456789", kPrefix.size()) == std::string_view::npos;
}

/// Whether a run that writes into `output` may replace, rename or delete this file or folder.
bool is_written(const fs::path& path, const fs::path& output) {
  std::error_code ignored;
  if (fs::equivalent(path, output, ignored)) return true;
  const fs::path inside = resolved(path).lexically_relative(resolved(output));
  if (inside.empty() || *inside.begin() == "..") return false;
  const std::string first = inside.begin()->string();
  if (first == "." || may_hold_a_model(first) || is_checkpoint_name(first)) return true;
  return std::next(inside.begin()) == inside.end() && !fs::is_directory(path, ignored);
}

void check_read_folder(const LoadedConfig& loaded, const fs::path& folder, const char* what) {
  if (folder.empty()) return;
  const fs::path output = loaded.config.trainer.output_dir;
  const auto refuse = [&](const std::string& which) {
    throw Error(loaded.where("trainer_args.output_dir"),
                fmt::format("training into '{}' would write over {}", output.string(), which),
                "choose another output_dir");
  };
  if (is_written(folder, output))
    refuse(fmt::format("the folder that {} is read from, {}", what, folder.string()));
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.is_symlink(ignored) && is_written(entry.path(), output))
      refuse(fmt::format("a file that {} is read from, {}, a link", what, entry.path().string()));
  }
}

bool is_model_file(const fs::path& name) {
  static constexpr std::array kNames{"config.json", "adapter_config.json",
                                     "pytorch_model.bin.index.json"};
  const std::string text = name.string();
  return std::find(kNames.begin(), kNames.end(), text) != kNames.end() ||
         text.ends_with(".safetensors") || text.ends_with(".safetensors.index.json") ||
         (text.starts_with("pytorch_model") && text.ends_with(".bin")) ||
         checkpoint::is_side_file(name);
}

/// What of a run or a model stands in the folder, relative to it. The mark of a finished run comes
/// first and its config last: a move that was cut short is neither taken for a finished run nor
/// for none.
std::vector<fs::path> earlier_files(const TrainerArgs& args, bool history) {
  const fs::path output = args.output_dir;
  std::vector<fs::path> names = checkpoint::side_files_of(output);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(output, ignored)) {
    const fs::path name = entry.path().filename();
    if (!entry.is_directory(ignored) && is_model_file(name)) names.push_back(name);
  }
  for (std::string& entry : entries_with_models()) names.emplace_back(std::move(entry));
  if (history) {
    for (const char* name :
         {"metrics.jsonl", "journal.jsonl", "train.log", "report.html", "profile", "samples"})
      names.emplace_back(name);
    names.push_back(event_folder(output, args.run_name).lexically_relative(output));
    names.emplace_back(checkpoint::kConfigFile);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::stable_partition(names.begin(), names.end(),
                        [](const fs::path& name) { return name != checkpoint::kConfigFile; });
  names.insert(names.begin(), checkpoint::kFinishedFile);
  std::erase_if(names, [&](const fs::path& name) {
    return !fs::exists(fs::symlink_status(output / name, ignored));
  });
  return names;
}

void rename_or_throw(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (!error) fs::rename(from, to, error);
  if (error) {
    throw Error(from.string(),
                fmt::format("moving it aside to {} failed: {}", to.string(), error.message()),
                "make the folder writable, or choose another trainer_args.output_dir",
                Exit::failed);
  }
}

fs::path move_aside(const TrainerArgs& args, const Move& move) {
  const fs::path output = args.output_dir;
  const fs::path staging = output / move.staging;
  for (const fs::path& name : earlier_files(args, move.history))
    rename_or_throw(output / name, checkpoint::first_free(staging / name));
  const fs::path to = checkpoint::first_free(output / kOld);
  rename_or_throw(staging, to);
  sync_directory(to);
  sync_directory(output);
  return to;
}

bool is_model_there(const fs::path& output, const std::vector<fs::path>& files) {
  return std::any_of(files.begin(), files.end(), [&](const fs::path& name) {
    return is_model_file(name) ||
           (may_hold_a_model(name) && fs::exists(output / name / "config.json"));
  });
}

bool lies_in(const checkpoint::Checkpoint& checkpoint, const fs::path& output) {
  const fs::path folder = (checkpoint.path / "").parent_path().parent_path();
  std::error_code ignored;
  return fs::equivalent(folder.empty() ? "." : folder, output, ignored);
}

std::string some_of(const std::vector<fs::path>& names) {
  constexpr size_t kShown = 4;
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) shown.push_back(names[i].string());
  if (names.size() > kShown) shown.emplace_back("...");
  return fmt::format("{}", fmt::join(shown, ", "));
}

}  // namespace

std::vector<std::string> model_folders() {
  const std::array<std::string, 1> saved_in{""};
  return step::model_folders(saved_in);
}

void check_output_folder(const LoadedConfig& loaded, const fs::path& model_folder,
                         const fs::path& tokenizer_folder) {
  check_read_folder(loaded, model_folder, "the model");
  check_read_folder(loaded, tokenizer_folder, "the tokenizer");
}

void move_earlier_aside(const LoadedConfig& loaded, const checkpoint::Checkpoint* from) {
  const TrainerArgs& args = loaded.config.trainer;
  const fs::path output = args.output_dir;
  const auto before = read_file(output / checkpoint::kConfigFile);
  const bool goes_on = from != nullptr && lies_in(*from, output);
  if (goes_on && before) return;

  const Move& move = goes_on ? kModelAlone : kWholeRun;
  const std::vector<fs::path> files = earlier_files(args, move.history);
  std::error_code none;
  const auto rows = fs::file_size(output / "metrics.jsonl", none);
  const bool has_rows = move.history && !none && rows > 0;
  if (!has_rows && !is_model_there(output, files)) return;

  if (!before) {
    log::notice(fmt::format("{} holds files that this program did not write: {}; moved aside: {}",
                            output.string(), some_of(files), move_aside(args, move).string()));
    return;
  }
  const std::vector<std::string> changes = config_changes(*before, loaded.config);
  const bool finished = checkpoint::finished_steps(output).has_value();
  const bool begins_again = args.resume_from_checkpoint.automatic && !finished && changes.empty();
  if (begins_again) return;
  for (const std::string& change : changes)
    log::notice("changed since the earlier run in this folder: " + change);
  log::notice(
      fmt::format("{} holds an earlier run{}; its model, metrics and report are moved "
                  "aside: {}",
                  output.string(), finished ? "" : ", unfinished and without a checkpoint",
                  move_aside(args, move).string()));
}

void finish_moving_aside(const TrainerArgs& args) {
  for (const Move& move : {kWholeRun, kModelAlone}) {
    std::error_code ignored;
    if (!fs::is_directory(fs::path(args.output_dir) / move.staging, ignored)) continue;
    log::notice(
        fmt::format("a move that was cut short is finished: {}", move_aside(args, move).string()));
  }
}

}  // namespace lmms::train
