#pragma once
/// A model that computes without being trained: in evaluation and in generation.
#include <c10/core/Device.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "models/model.h"
#include "nn/run.h"

namespace lmms::step {

/// A model, where it computes and by which kernels. Whoever makes one has to choose them, so that
/// none of the two falls back to others than training's (kernel_set of the config).
struct ForwardModel {
  ForwardModel(const models::Model& model, c10::Device device, const nn::KernelSet& kernels)
      : model(model), device(device) {
    context.kernels = kernels;
  }

  const models::LanguageModel& language_model() const { return *model.language_model(); }

  const models::Model& model;
  c10::Device device;
  nn::RunContext context;  ///< without gradients nothing is kept
};

/// The tokens that a model was made for, as its config.json says (max_position_embeddings, of the
/// text model where it has one inside). A longer sequence is computed all the same.
std::optional<int64_t> known_positions(const nlohmann::json& config);

}  // namespace lmms::step
