#pragma once
/// A checkpoint that answers: model, tokenizer and settings, opened together.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "generate/prompting.h"
#include "kernels/open_device.h"
#include "models/registry.h"
#include "step/forward_model.h"
#include "step/network.h"

namespace lmms::generate {

/// The folder of a model named on a command line: a checkpoint folder, a name of the hub in its
/// local cache, or the output folder of a run, of which the newest complete checkpoint is taken if
/// the final model is not there yet. Throws Error.
std::filesystem::path locate_model(const std::string& name, const std::filesystem::path& hub_cache);

struct InferenceOptions {
  std::optional<at::ScalarType> dtype;  ///< of the weights; absent: that of the checkpoint
  kernels::DeviceRequest device;
  nn::KernelSet kernels = {};
  PromptingOptions prompting;
  /// All that will be asked, if that is known: where every one of them is a text to be filled in,
  /// the form is plain, and the checkpoint need not know chats.
  std::vector<std::string> texts = {};
};

struct InferenceModel {
  std::filesystem::path folder;
  c10::Device device;
  step::Network network;
  nlohmann::json generation_config;  ///< generation_config.json; null without one
  Prompting prompting;
  std::optional<int64_t> longest;  ///< tokens: known_positions of config.json
  /// Of a checkpoint that fills in masks.
  std::optional<UnmaskingOptions> unmasking = {};
  nn::KernelSet kernels = {};

  step::ForwardModel forward() const { return {*network.model, device, kernels}; }
  bool sees() const { return network.model->image_token().has_value(); }
};

/// Its own processor lays prompts out (models::ModelEntry), by the files of its folder. Throws
/// Error: no such checkpoint, a model that is no language model, no tokenizer, or not the model's.
InferenceModel open_model(const models::ModelRegistry& models, const std::string& name,
                          const std::filesystem::path& hub_cache, const InferenceOptions& options);

/// The prompt of a conversation. Throws Error, also for images that the model does not see.
data::Sample prompt_of(const InferenceModel& model, const Conversation& conversation);

/// Warns, once, of a prompt that leaves the model no position it was made for.
void warn_if_too_long(const InferenceModel& model, const data::Sample& prompt);

}  // namespace lmms::generate
