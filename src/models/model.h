#pragma once
/// What the engine knows of a model: its parameters, its capabilities, its cost. No model knows
/// what is minimised.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/media_kinds.h"
#include "models/config_reader.h"
#include "nn/batch.h"
#include "nn/head.h"
#include "nn/hidden.h"
#include "nn/param.h"
#include "nn/run.h"

namespace lmms::models {

/// A capability: hidden states of every position, and what a head makes of them. h [N, H]: hidden
/// states of some positions; targets [N] int64 in [0, vocab_size).
class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  virtual nn::Hidden hidden(const nn::Batch& batch, const nn::RunContext& context) const = 0;
  /// Weighted cross entropy, an fp32 scalar (kernels::linear_loss); weights [N] fp32 carry every
  /// factor: it must reach backward unscaled.
  virtual at::Tensor loss(const at::Tensor& h, const at::Tensor& targets, const at::Tensor& weights,
                          const kernels::LinearLossOptions& options,
                          const nn::RunContext& context) const = 0;
  /// log p(targets[n]), [N] fp32, without a gradient.
  virtual at::Tensor log_probabilities(const at::Tensor& h, const at::Tensor& targets,
                                       const nn::RunContext& context) const = 0;
  /// [N, V] in the dtype of h.
  virtual at::Tensor logits(const at::Tensor& h, const nn::RunContext& context) const = 0;
  virtual int64_t vocab_size() const = 0;
};

/// One whose head is a matrix: a family sets it when it is made.
class LinearHeadModel : public LanguageModel {
 public:
  at::Tensor loss(const at::Tensor& h, const at::Tensor& targets, const at::Tensor& weights,
                  const kernels::LinearLossOptions& options,
                  const nn::RunContext& context) const override {
    return head_.loss(h, targets, weights, options, context);
  }
  at::Tensor log_probabilities(const at::Tensor& h, const at::Tensor& targets,
                               const nn::RunContext& context) const override {
    return head_.log_probabilities(h, targets, context);
  }
  at::Tensor logits(const at::Tensor& h, const nn::RunContext& context) const override {
    return head_.logits(h, context);
  }
  int64_t vocab_size() const override { return head_.weight->shape[0]; }

 protected:
  nn::Head head_;
};

/// What of a micro-step costs time.
struct Workload {
  std::span<const int64_t> lengths;  ///< of the segments
  int64_t supervised = 0;            ///< positions whose logits are computed
  MediaList<MediaGrids> media = {};  ///< of the kinds that it has
  /// Pairs of query and key that attention sees beyond those of causal segments that see themselves
  /// alone: the other half of full ones, and other segments of the sample.
  double extra_pairs = 0;

  std::span<const PatchGrid> grids(std::string_view kind) const { return media.of(kind).grids; }
};

class Denoiser;     // models/denoiser.h
class Autoencoder;  // models/autoencoder.h

class Model {
 public:
  virtual ~Model() = default;
  nn::ParamTable& params() { return params_; }
  const nn::ParamTable& params() const { return params_; }
  /// config.json as it will be saved.
  const nlohmann::json& config() const { return config_; }
  /// The keys of config.json that bear on the model.
  const KeysRead& keys_read() const { return keys_read_; }

  /// The capabilities, or nullptr.
  virtual const LanguageModel* language_model() const { return nullptr; }
  virtual const Denoiser* denoiser() const { return nullptr; }
  virtual const Autoencoder* autoencoder() const { return nullptr; }
  /// The token of whose embeddings the features of images take the place; nullopt: a model that
  /// sees no images.
  virtual std::optional<int32_t> image_token() const { return std::nullopt; }
  /// Kinds of media that it has a tower for.
  virtual std::vector<std::string> media_kinds() const {
    return image_token() ? std::vector{std::string(kVision)} : std::vector<std::string>();
  }

  /// FLOPs of forward and backward, of attention the pairs that see each other, recompute not at
  /// all.
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
