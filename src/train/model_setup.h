#pragma once
/// From model_config to a network with memory and weights.
#include <c10/core/Device.h>

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "models/config.h"
#include "step/load_network.h"
#include "step/step.h"
#include "text/tokenizer.h"
#include "train/config.h"
#include "train/place.h"

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

/// How the model that the config describes is trained. `micro_steps`: of a step; with one under
/// bf16, gradients are bf16 too.
step::NetworkOptions network_options(const LoadedConfig& loaded, int64_t micro_steps,
                                     c10::Device device);

/// The config's overwrite_config, for a checkpoint that is computed with as if it were its model.
step::ConfigOverwrite config_overwrite(const LoadedConfig& loaded);

}  // namespace lmms::train
