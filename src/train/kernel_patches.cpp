#include "train/kernel_patches.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "train/registries.h"

namespace lmms::train {
namespace {

using kernels::Form;
using Values = std::map<std::string, config::Value>;

// Of `trainer_args.liger_kernel_config`.
Values liger_values(const TrainConfig& config) {
  const auto liger = config.trainer.layout.find("liger_kernel_config");
  const config::Value::Map* map =
      liger == config.trainer.layout.end() ? nullptr : liger->second.map();
  return map != nullptr ? Values(map->begin(), map->end()) : Values();
}

// Arguments for kernels stand in three places, of which the last counts.
std::vector<models::PatchRequest::Section> sections_of(const TrainConfig& config) {
  models::PatchRequest::Section use{.key = "trainer_args", .values = {}};
  const auto given = config.trainer.layout.find("use_liger_kernel");
  if (given != config.trainer.layout.end()) use.values.insert(*given);
  return {std::move(use),
          {"trainer_args.liger_kernel_config", liger_values(config)},
          {"model_config.monkey_patch_kwargs", config.model.monkey_patch_kwargs.layout}};
}

bool turned_off(const Values& values, std::string_view key) {
  return models::PatchRequest::Section{"", values}.switched(key) == false;
}

}  // namespace

std::vector<models::PatchRequest> patch_requests(const LoadedConfig& loaded) {
  const TrainConfig& config = loaded.config;
  std::vector<std::string> names = {"liger"};  // the default, and its arguments need no name
  for (const auto* asked : {&config.monkey_patch, &config.model.monkey_patch_kwargs.patch_type}) {
    for (const std::string& name : *asked)
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  std::vector<models::PatchRequest> out;
  for (const std::string& name : names) {
    out.push_back({.name = name,
                   .sections = sections_of(config),
                   .where = [&loaded](const std::string& key) { return loaded.where(key); }});
  }
  return out;
}

void patch_structure(const LoadedConfig& loaded, models::Model& model) {
  models::patch_structure(loaded.registries->patches, patch_requests(loaded), model);
}

nn::KernelSet kernel_set(const LoadedConfig& loaded) {
  return models::patched_kernels(loaded.registries->patches, patch_requests(loaded));
}

std::string notice_of_patches(const TrainConfig& config, c10::Device device) {
  if (device.is_cuda()) return {};
  std::string asked;
  for (const std::string& patch : config.monkey_patch) asked += (asked.empty() ? "" : ", ") + patch;
  const auto liger = config.trainer.layout.find("use_liger_kernel");
  if (liger != config.trainer.layout.end() &&
      !turned_off(config.trainer.layout, "use_liger_kernel"))
    asked += (asked.empty() ? "" : ", ") + std::string("use_liger_kernel");
  if (asked.empty()) return {};
  return asked + ": the fused kernels are a GPU's; on a CPU ATen's compute the same";
}

std::string text_of(const nn::KernelSet& kernels, c10::Device device) {
  if (!device.is_cuda()) return "ATen's";
  std::string plain;
  for (const auto& [name, form] : {std::pair<const char*, Form>{"norm", kernels.norm},
                                   {"rope and attention", kernels.rope},
                                   {"activation", kernels.activation},
                                   {"head", kernels.loss}}) {
    if (form == Form::plain) plain += (plain.empty() ? "" : ", ") + std::string(name);
  }
  return plain.empty() ? "fused" : "fused, by request plain: " + plain;
}

}  // namespace lmms::train
