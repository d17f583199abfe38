#pragma once
/// A checkpoint that answers: model, tokenizer and settings, opened together.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "text/tokenizer.h"
#include "train/device.h"
#include "train/generation/prompting.h"
#include "train/step.h"

namespace lmms::train {

/// The folder of a model named on a command line: a checkpoint folder, a name of the hub in its
/// local cache, or the output folder of a run, of which the newest complete checkpoint is taken if
/// the final model is not there yet. Throws Error.
std::filesystem::path locate_model(const std::string& name, const std::filesystem::path& hub_cache);

struct InferenceOptions {
  std::optional<at::ScalarType> dtype;  ///< of the weights; absent: that of the checkpoint
  bool use_cpu = false;
  nn::KernelSet kernels = {};
  PromptingOptions prompting;
};

struct InferenceModel {
  std::filesystem::path folder;
  c10::Device device;
  Network network;
  nlohmann::json generation_config;  ///< generation_config.json; null without one
  Prompting prompting;
  std::optional<int64_t> longest;  ///< tokens: known_positions of config.json
  nn::KernelSet kernels = {};

  ForwardModel forward() const { return {*network.model, device, kernels}; }
  bool sees() const { return network.model->image_token().has_value(); }
};

/// Prompts of a model that sees are laid out by the processor files of its folder. Throws
/// Error: no such checkpoint, a model that is no language model, no tokenizer, or not the model's.
InferenceModel open_model(const std::string& name, const InferenceOptions& options,
                          const Place& place);

/// The prompt of a conversation. Throws Error, also for images that the model does not see.
data::Sample prompt_of(const InferenceModel& model, const Conversation& conversation);

/// Warns, once, of a prompt that leaves the model no position it was made for.
void warn_if_too_long(const InferenceModel& model, const data::Sample& prompt);

}  // namespace lmms::train
