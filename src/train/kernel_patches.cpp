#include "train/kernel_patches.h"

#include <array>
#include <string_view>
#include <utility>

namespace lmms::train {
namespace {

using kernels::Form;
using Values = std::map<std::string, config::Value>;

bool turned_off(const Values& values, std::string_view key) {
  const auto found = values.find(std::string(key));
  if (found == values.end()) return false;
  const bool* on = std::get_if<bool>(&found->second.data);
  return on != nullptr && !*on;
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

nn::KernelSet kernel_set(const TrainConfig& config) {
  nn::KernelSet kernels;
  if (turned_off(config.trainer.layout, "use_liger_kernel"))
    kernels.norm = kernels.rope = kernels.activation = kernels.loss = Form::plain;
  const auto liger = config.trainer.layout.find("liger_kernel_config");
  if (liger != config.trainer.layout.end()) {
    if (const config::Value::Map* map = liger->second.map())
      turn_off(kernels, Values(map->begin(), map->end()));
  }
  turn_off(kernels, config.model.monkey_patch_kwargs.layout);
  return kernels;
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
