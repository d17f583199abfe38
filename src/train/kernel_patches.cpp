#include "train/kernel_patches.h"

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace lmms::train {
namespace {

using kernels::Form;
using Values = std::map<std::string, config::Value>;

std::optional<bool> switched(const Values& values, std::string_view key) {
  const auto found = values.find(std::string(key));
  if (found == values.end()) return std::nullopt;
  const bool* on = std::get_if<bool>(&found->second.data);
  return on != nullptr ? std::optional(*on) : std::nullopt;
}

bool turned_off(const Values& values, std::string_view key) {
  return switched(values, key) == false;
}

// Of `trainer_args.liger_kernel_config`.
Values liger_values(const TrainConfig& config) {
  const auto liger = config.trainer.layout.find("liger_kernel_config");
  const config::Value::Map* map =
      liger == config.trainer.layout.end() ? nullptr : liger->second.map();
  return map != nullptr ? Values(map->begin(), map->end()) : Values();
}

// A norm that has a bias beside its weight of ones.
bool has_layer_norm(const nn::ParamTable& params) {
  constexpr std::string_view kWeight = ".weight";
  for (const nn::Param& p : params.all()) {
    if (p.init.law != nn::Init::Law::ones || !p.name.ends_with(kWeight)) continue;
    if (params.find_part(p.name.substr(0, p.name.size() - kWeight.size()) + ".bias") != nullptr)
      return true;
  }
  return false;
}

void turn_off(nn::KernelSet& kernels, const Values& values) {
  for (const auto& [key, form] : {std::pair<std::string_view, Form*>{"rope", &kernels.rope},
                                  {"rms_norm", &kernels.norm},
                                  {"layer_norm", &kernels.norm},
                                  {"swiglu", &kernels.activation},
                                  {"geglu", &kernels.activation},
                                  {"fused_linear_cross_entropy", &kernels.loss}}) {
    if (turned_off(values, key)) *form = Form::plain;
  }
}

}  // namespace

nn::KernelSet plain_kernels() {
  nn::KernelSet kernels;
  kernels.norm = kernels.rope = kernels.activation = kernels.loss = Form::plain;
  return kernels;
}

nn::KernelSet kernel_set(const TrainConfig& config) {
  nn::KernelSet kernels;
  if (turned_off(config.trainer.layout, "use_liger_kernel")) kernels = plain_kernels();
  turn_off(kernels, liger_values(config));
  turn_off(kernels, config.model.monkey_patch_kwargs.layout);
  return kernels;
}

void check_patches(const LoadedConfig& loaded, const nn::ParamTable& params) {
  const auto check = [&](const Values& values, const std::string& section) {
    const auto refuse = [&](const char* key, const char* why) {
      if (switched(values, key) == true)
        throw Error(loaded.where(section + "." + key),
                    std::string("the patch does not apply: ") + why, "leave it out");
    };
    refuse("geglu", "the model has no gated GELU");
    if (!has_layer_norm(params)) refuse("layer_norm", "all norms of the model are RMSNorms");
  };
  check(loaded.config.model.monkey_patch_kwargs.layout, "model_config.monkey_patch_kwargs");
  check(liger_values(loaded.config), "trainer_args.liger_kernel_config");
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
