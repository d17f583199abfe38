#pragma once
/// What the engine knows of a model: its parameters, its capabilities, its cost. No model computes
/// a loss.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "core/patch_grid.h"
#include "models/config_reader.h"
#include "nn/batch.h"
#include "nn/param.h"
#include "nn/run.h"

namespace lmms::models {

/// A capability: hidden states of every position, and the head that turns them into logits.
class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  /// [T, H], after the final norm.
  virtual at::Tensor hidden(const nn::Batch& batch, const nn::RunContext& context) const = 0;
  /// [V, H]; the embedding itself where the two are tied.
  virtual const nn::Param& head() const = 0;
  virtual int64_t vocab_size() const = 0;
};

/// What of a micro-step costs time.
struct Workload {
  std::span<const int64_t> lengths;       ///< of the segments
  int64_t supervised = 0;                 ///< positions whose logits are computed
  std::span<const PatchGrid> grids = {};  ///< of images and videos
};

class Model {
 public:
  virtual ~Model() = default;
  nn::ParamTable& params() { return params_; }
  const nn::ParamTable& params() const { return params_; }
  /// config.json as it will be saved.
  const nlohmann::json& config() const { return config_; }
  /// The keys of config.json that bear on the model.
  const KeysRead& keys_read() const { return keys_read_; }

  /// The capability, or nullptr.
  virtual const LanguageModel* language_model() const { return nullptr; }
  /// The token of whose embeddings the features of images take the place; nullopt: a model that
  /// sees no images.
  virtual std::optional<int32_t> image_token() const { return std::nullopt; }

  /// FLOPs of forward and backward, causal attention counted half, recompute not at all.
  virtual double train_flops(const Workload& work) const = 0;
  /// The Python project's count (lmms_engine 0.1.4, utils/flops): embeddings as a product,
  /// attention in full, all trained.
  virtual double lmms_engine_flops(const Workload& work) const = 0;

 protected:
  /// `architecture`: the class in transformers that reads what is saved, whichever wrote the files
  /// (a base model without a head, say).
  Model(nlohmann::json config, const char* architecture) : config_(std::move(config)) {
    config_["architectures"] = {architecture};
  }
  nn::ParamTable params_;
  nlohmann::json config_;
  KeysRead keys_read_;
};

}  // namespace lmms::models
