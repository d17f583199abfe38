#pragma once
/// SiT: a transformer over patches of a noisy image or latent, told the time and a class by
/// adaptive norms (adaLN-Zero). Sources: Ma et al. 2024, "SiT"; Peebles & Xie 2022, "Scalable
/// diffusion models with transformers", section 3; models.py of the authors.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/denoiser.h"
#include "models/model.h"
#include "models/sit/config.h"
#include "nn/linear.h"
#include "nn/mlp.h"
#include "nn/modulation.h"

namespace lmms::models::sit {

/// What crosses the blocks: the stream of T tokens, and
struct State : nn::ModulatedResidual {
  at::Tensor condition;  ///< [S, H] fp32: silu of what the samples are told
  std::shared_ptr<const kernels::AttentionPlan> plan;  ///< shared: backward may run the block again
  nn::UnitRun how;

  template <class F>
  void each(F f) {
    f(hidden);
    f(delta);
    f(gate);
    f(condition);
  }
};

/// x += g1 * attention(norm(x) (1 + s1) + b1); x += g2 * mlp(norm(x) (1 + s2) + b2); g, s and b are
/// a product of the condition.
struct Block {
  std::string name;
  nn::Linear modulation;  ///< [6 H, H]
  nn::Linear qkv, proj;   ///< [3 H, H], [H, H]
  nn::DenseMlp mlp;
  int64_t heads = 0;

  State operator()(const State& state) const;
  /// Of P tokens of S samples, with `pairs` of tokens that see each other.
  void count(nn::ChainFlops& tokens, nn::ChainFlops& condition, double P, double S,
             double pairs) const;
};

class Sit final : public Model, public Denoiser {
 public:
  /// Throws ConfigFault.
  Sit(const nlohmann::json& config, const std::string& where);

  const Denoiser* denoiser() const override { return this; }
  at::Tensor predict(const NoisyInput& in, const nn::RunContext& context) const override;
  LatentShape shape() const override { return settings_.latent; }
  int64_t classes() const override { return settings_.classes; }
  double class_dropout() const override { return settings_.class_dropout; }
  TransportConfig transport() const override { return settings_.transport; }
  std::string autoencoder_path() const override { return settings_.autoencoder_path; }

  /// Segments are samples.
  double train_flops(const Workload& work) const override;
  /// 0: the Python project counts none of this family.
  double lmms_engine_flops(const Workload& work) const override;

 private:
  void add_embeddings();
  Block add_block(int64_t index);
  void add_final_layer();
  /// Patches with their places, [T, H].
  at::Tensor embed(const NoisyInput& in) const;
  /// silu of the embeddings of time and class, [S, H] fp32.
  at::Tensor condition(const NoisyInput& in) const;
  /// From the stream to what is predicted, [T, patch_values] fp32.
  at::Tensor head(State state, const nn::UnitRun& how) const;

  Config settings_;
  nn::Linear patch_embed_;                // weight [H, C, patch, patch]
  const nn::Param* positions_ = nullptr;  // [1, N, H], fixed
  nn::Linear time_in_, time_out_;         // [H, 256], [H, H]
  nn::Embedding class_table_;             // [class_rows, H]
  std::vector<Block> blocks_;
  nn::Linear final_modulation_, final_;  // [2 H, H], [patch^2 out_channels, H]
};

}  // namespace lmms::models::sit
