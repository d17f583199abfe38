#pragma once
/// The dense causal decoder that text models and the language halves of multimodal ones share. A
/// family is a DecoderConfig.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nn/batch.h"
#include "nn/cache.h"
#include "nn/glu_mlp.h"
#include "nn/linear.h"
#include "nn/param.h"
#include "nn/residual.h"
#include "nn/rotary.h"
#include "nn/run.h"

namespace lmms::nn {

struct DecoderConfig {
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, layers = 0;
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double rms_norm_eps = 1e-6;
  bool qkv_bias = false, output_bias = false;  ///< of the attention's projections
  bool qk_norm = false;                        ///< RMSNorm of queries and keys over head_dim
  RopeConfig rope;
  std::vector<int64_t> windows;  ///< of each layer: keys that a query sees, 0: all before it
  double initializer_range = 0.02;
  int64_t pad_token_id = -1;  ///< its embedding starts at 0
};

/// What crosses the units of a decoder: the residual stream, and
struct DecoderState : Residual {
  at::Tensor cos, sin;  ///< [T, D / 2]
  const kernels::AttentionPlan* attention = nullptr;
  KvCache* cache = nullptr;  ///< generation: of the sequences that the tokens belong to
  UnitRun how;

  template <class F>
  void each(F f) {
    f(hidden);
    f(delta);
    f(cos);
    f(sin);
  }
};

/// Grouped-query attention with rotary positions.
struct Attention {
  Linear qkv, output;
  const Param *q_norm = nullptr, *k_norm = nullptr;
  int64_t heads = 0, kv_heads = 0, head_dim = 0, window = 0;
  double eps = 1e-6;
  size_t slot = 0;  ///< of this layer in a cache

  /// x [T, H] -> [T, H].
  at::Tensor operator()(const kernels::Normed& x, const DecoderState& state) const;
};

/// x += attention(norm(x)); x += mlp(norm(x)).
struct DecoderLayer {
  std::string name;
  Norm input_norm, post_attention_norm;
  Attention attention;
  GluMlp mlp;
  DecoderState operator()(const DecoderState& state) const;
};

/// What is added to some rows of the residual stream behind the first layers (features of images in
/// DeepStack).
struct Injection {
  at::Tensor rows;                      ///< [M] int64, each once
  std::vector<at::Tensor> after_layer;  ///< [M, H], for layers 0, 1, ...
};

/// Embedding, layers, final norm. Every layer is a unit; so is the embedding with what stands
/// outside of layers.
class Decoder {
 public:
  /// Adds its Params below `prefix` ("model."), under their hub names.
  Decoder(ParamTable& params, const DecoderConfig& config, const std::string& prefix);

  /// batch of T tokens -> [T, H] after the final norm.
  at::Tensor operator()(const Batch& batch, const RunContext& context) const {
    return from_embeddings(embedding_(batch.input_ids, batch.embedding), batch, context);
  }
  /// The same, where some rows of the embeddings [T, H] come from elsewhere (features of images).
  at::Tensor from_embeddings(at::Tensor embeddings, const Batch& batch, const RunContext& context,
                             const Injection& injection = {}) const;

  const Embedding& embedding() const { return embedding_; }
  const DecoderConfig& config() const { return config_; }
  /// Whether a gradient flows out of the top of the decoder into its parameters.
  bool trains() const;
  /// FLOPs of forward and backward of the layers for segments of these lengths, two for each
  /// multiply-add of the matrices and of the causal half of attention (windows counted), recompute
  /// not counted. Backward counts gradients of inputs where something below trains, and of weights
  /// that train. `below_trains`: something beside the embedding takes a gradient from the first
  /// layer's input.
  double train_flops(std::span<const int64_t> lengths, bool below_trains = false) const;

 private:
  DecoderConfig config_;
  Embedding embedding_;
  std::vector<DecoderLayer> layers_;
  Norm norm_;
  Rotary rotary_;
};

}  // namespace lmms::nn
