#include "train/config_changes.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "core/config/fields.h"
#include "core/config/schema.h"
#include "core/config/yaml.h"
#include "core/format.h"

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
    "resume_from_checkpoint"sv,
    "eval_strategy"sv,
    "eval_steps"sv,
    "eval_on_start"sv,
    "eval_generate"sv,
    "per_device_eval_batch_size"sv,
    "gradient_checkpointing"sv,
    "dataloader_num_workers"sv,
    "dataloader_prefetch_factor"sv,
    "ddp_timeout"sv,
};

bool without_effect(std::string_view key) {
  constexpr auto kSection = "trainer_args."sv;
  if (key == "dataset_config.eval_dataset_path") return true;
  if (!key.starts_with(kSection)) return false;
  key.remove_prefix(kSection.size());
  key = key.substr(0, key.find('.'));
  return std::find(kWithoutEffect.begin(), kWithoutEffect.end(), key) != kWithoutEffect.end();
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

std::vector<std::string> config_changes(const std::string& before, const TrainConfig& now) {
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
  TrainConfig current = now;
  const auto values = leaves(current, old);
  const auto old_values = leaves(old, current);
  std::vector<std::string> out;
  for (const auto& [key, value] : values) {
    if (without_effect(key)) continue;
    const auto was = old_values.find(key);
    out.push_back(fmt::format("{}: {}, before: {}", key, value,
                              was == old_values.end() ? "absent" : was->second));
  }
  for (const auto& [key, value] : old_values) {
    if (!without_effect(key) && !values.contains(key))
      out.push_back(fmt::format("{}: absent, before: {}", key, value));
  }
  return out;
}

}  // namespace lmms::train
