#pragma once
/// A checkpoint as a network.
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "models/registry.h"
#include "step/network.h"

namespace lmms::checkpoint {
class TensorIndex;
}

namespace lmms::step {

/// Fields that stand in for those of a checkpoint's config.json.
struct ConfigOverwrite {
  nlohmann::json fields = nlohmann::json::object();
  std::string where;  ///< they are given
};

/// A checkpoint folder to compute with, not to train: no gradients, masters or optimiser. `dtype`:
/// of the weights; absent: that of the checkpoint. Throws Error, also for fields of `overwrite`
/// that change nothing.
Network load_network(const models::ModelRegistry& models, const std::filesystem::path& folder,
                     std::optional<at::ScalarType> dtype, c10::Device device,
                     const ConfigOverwrite& overwrite = {});

/// Reads the weights of a network whose memory is laid out; says so where `folder` holds tensors
/// that have no place in the model. Throws Error.
void load_weights(Network& network, const checkpoint::TensorIndex& weights,
                  const std::filesystem::path& folder);

}  // namespace lmms::step
