#include "train/config_changes.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string_view>

#include "core/config/fields.h"
#include "core/config/schema.h"
#include "core/config/yaml.h"
#include "core/format.h"
#include "optim/metric_schedule.h"
#include "train/best_model.h"

namespace lmms::train {
namespace {

using namespace std::string_view_literals;

// Neither mathematics nor the order of data: trainer_args.NAME.
constexpr std::array kWithoutEffect{
    "output_dir"sv,
    "run_name"sv,
    "use_cpu"sv,  // the device is compared by its name
    "logging_strategy"sv,
    "logging_steps"sv,
    "logging_first_step"sv,
    "disable_tqdm"sv,
    "report_to"sv,
    "print_batch_input_steps"sv,
    "enable_profiler"sv,
    "profiler_config"sv,
    "save_strategy"sv,
    "save_steps"sv,
    "save_total_limit"sv,
    "load_best_model_at_end"sv,  // any run that follows its best evaluation can end with that
    "resume_from_checkpoint"sv,
    "eval_strategy"sv,
    "eval_steps"sv,
    "eval_on_start"sv,
    "eval_generate"sv,
    "eval_sample"sv,
    "per_device_eval_batch_size"sv,
    "gradient_checkpointing"sv,
    "dataloader_num_workers"sv,
    "dataloader_prefetch_factor"sv,
    "ddp_timeout"sv,
};

// What the learning rate, or the end of a run, depends on where it follows the evaluation.
constexpr std::array kRhythmOfEvaluation{
    "trainer_args.eval_strategy"sv,
    "trainer_args.eval_steps"sv,
    "dataset_config.eval_dataset_path"sv,
};

bool without_effect(std::string_view key, bool follows_evaluation) {
  constexpr auto kSection = "trainer_args."sv;
  if (std::find(kRhythmOfEvaluation.begin(), kRhythmOfEvaluation.end(), key) !=
      kRhythmOfEvaluation.end()) {
    return !follows_evaluation;
  }
  if (key == "dataset_config.on_changed_data") return true;
  if (!key.starts_with(kSection)) return false;
  key.remove_prefix(kSection.size());
  key = key.substr(0, key.find('.'));
  return std::find(kWithoutEffect.begin(), kWithoutEffect.end(), key) != kWithoutEffect.end();
}

bool follows_evaluation(const TrainConfig& config) {
  return optim::follows_metric(config.trainer.schedule.lr_scheduler_type) ||
         seeks_best(config.trainer);
}

// Gives both the same spelling of what means the same. `follows`: the learning rate the evaluation.
void align(TrainConfig& now, TrainConfig& old, Paths paths, bool follows) {
  data::DataConfig &data = now.dataset, &old_data = old.dataset;
  const size_t sources = std::min(data.datasets.size(), old_data.datasets.size());
  if (paths == Paths::content_is_compared) {
    if (data.dataset_path && old_data.dataset_path) data.dataset_path = old_data.dataset_path;
    for (size_t s = 0; s < sources; ++s) data.datasets[s].path = old_data.datasets[s].path;
  }
  for (TrainConfig* config : {&now, &old}) {
    for (data::SourceConfig& source : config->dataset.datasets)
      source.data_folder = plain_path(source.data_folder);
    auto& evaluated = config->dataset.eval_dataset_path;
    if (evaluated) evaluated = plain_path(*evaluated);
    TrainerArgs& args = config->trainer;
    if (follows && args.eval_strategy == Every::steps)
      args.eval_steps = args.eval_steps.value_or(args.logging_steps);
  }
}

// key -> value of each leaf of `config` that differs in `other`
std::map<std::string, std::string> leaves(TrainConfig& config, TrainConfig& other) {
  config::Fields mine, theirs;
  fields(mine, config);
  fields(theirs, other);
  std::map<std::string, std::string> out;
  for (const std::string& line : config::differences(mine, theirs)) {
    const size_t colon = line.find(": ");
    out[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return out;
}

}  // namespace

std::string plain_path(const std::string& path) {
  return (std::filesystem::path(path) / "").lexically_normal().string();
}

std::vector<std::string> config_changes(const std::string& before, const TrainConfig& now,
                                        Paths paths) {
  TrainConfig old;
  config::Faults faults;
  config::Fields list;
  fields(list, old);
  const config::Node tree = config::parse_yaml(before, "the checkpoint's config", faults);
  config::read_config(tree, list, faults);
  if (!faults.empty()) {
    return {
        "the checkpoint's config is none that this program reads: what it was trained with is "
        "not compared"};
  }
  const bool follows = follows_evaluation(old) || follows_evaluation(now);
  TrainConfig current = now;
  align(current, old, paths, follows);
  const auto values = leaves(current, old);
  const auto old_values = leaves(old, current);
  std::vector<std::string> out;
  for (const auto& [key, value] : values) {
    if (without_effect(key, follows)) continue;
    const auto was = old_values.find(key);
    out.push_back(fmt::format("{}: {}, before: {}", key, value,
                              was == old_values.end() ? "absent" : was->second));
  }
  for (const auto& [key, value] : old_values) {
    if (!without_effect(key, follows) && !values.contains(key))
      out.push_back(fmt::format("{}: absent, before: {}", key, value));
  }
  return out;
}

}  // namespace lmms::train
