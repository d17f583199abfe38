#pragma once
/// From model_config to a network with memory and weights.
#include <c10/core/Device.h>

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "models/config.h"
#include "text/tokenizer.h"
#include "train/config.h"
#include "train/device.h"
#include "train/step.h"

namespace lmms::train {

/// A model's structure, and where its weights and side files come from.
struct ModelSource {
  std::unique_ptr<models::Model> model;
  std::filesystem::path folder;  ///< of the checkpoint; empty if the model is made from its config
};

/// The model's config.json, or load_from_config, under overwrite_config. `folder`: a checkpoint
/// that stands in for the config's model; empty: none. Throws Error.
nlohmann::json model_config(const LoadedConfig& loaded, const std::filesystem::path& folder,
                            const std::filesystem::path& hub_cache);

/// Reads config.json or load_from_config, applies overwrite_config, and makes the structure without
/// memory, its head tied or not as the checkpoint's weights have it. Throws Error, also for keys of
/// overwrite_config that change nothing.
ModelSource make_model(const LoadedConfig& loaded, const Place& place);

/// Freezes what trainer_args.freeze_modules names. Throws Error.
void freeze_modules(nn::ParamTable& params, const LoadedConfig& loaded);

/// Freezes modules, lays out memory on the device, and fills it: weights of `source.folder`, or
/// HF's initialisation. `micro_steps`: of a step; with one under bf16, gradients are bf16 too.
/// Without `load` the weights are left for a checkpoint to fill. Throws Error, also for weights
/// that are not finite and for an ema_param_filter that takes no weight that is trained.
Network make_network(ModelSource source, const LoadedConfig& loaded, int64_t micro_steps,
                     c10::Device device, bool load);

/// Throws Error(where) that names the first tensor with a NaN or an infinity, if there is one.
void refuse_not_finite(const Network& network, const std::filesystem::path& where,
                       const std::string& fix);

/// Throws Error if the config's processor puts images where the model sees none, or under another
/// token than the model's.
void check_images(const models::Model& model, const text::Tokenizer& tokenizer,
                  const LoadedConfig& loaded);

/// A checkpoint folder to compute with, not to train: no gradients, masters or optimiser. `dtype`:
/// of the weights; absent: that of the checkpoint. `overwriting`: a config whose overwrite_config
/// counts, as if the folder were its model; nullptr: none. Throws Error.
Network load_network(const std::filesystem::path& folder, std::optional<at::ScalarType> dtype,
                     c10::Device device, const LoadedConfig* overwriting = nullptr);

}  // namespace lmms::train
