#pragma once
/// The causal decoder that text models and the language halves of multimodal ones share. A family
/// is a DecoderConfig.
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nn/batch.h"
#include "nn/decoder_state.h"
#include "nn/hidden.h"
#include "nn/linear.h"
#include "nn/mixer.h"
#include "nn/mlp.h"
#include "nn/param.h"
#include "nn/rotary.h"
#include "nn/run.h"

namespace lmms::nn {

/// What one layer is made of. A new kind is a value here, a class (nn/mixer.h, nn/mlp.h), and a
/// line where the decoder makes its layers.
enum class MixerKind { attention };
enum class MlpKind { dense };
struct LayerConfig {
  MixerKind mixer = MixerKind::attention;
  int64_t window = 0;  ///< attention: keys that a query sees; 0: all before it
  MlpKind mlp = MlpKind::dense;
};

struct DecoderConfig {
  int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0;
  std::vector<LayerConfig> layers;  ///< from the input on
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  double rms_norm_eps = 1e-6;
  bool qkv_bias = false, output_bias = false;  ///< of the attention's projections
  bool qk_norm = false;                        ///< RMSNorm of queries and keys over head_dim
  bool mlp_bias = false;                       ///< of all three projections
  RopeConfig rope;
  double initializer_range = 0.02;
  int64_t pad_token_id = -1;  ///< its embedding starts at 0

  int64_t layer_count() const { return static_cast<int64_t>(layers.size()); }
};

/// x += mixer(norm(x)); x += mlp(norm(x)). A unit.
struct DecoderLayer {
  std::string name;
  size_t index = 0;
  Norm input_norm, post_attention_norm;
  std::unique_ptr<Mixer> mixer;
  std::unique_ptr<Mlp> mlp;

  DecoderState operator()(const DecoderState& state) const;
  bool trains() const;
  /// Of segments of these lengths.
  void count(ChainFlops& chain, std::span<const int64_t> lengths, double extra_pairs) const;
};

/// What is added to some rows of the residual stream behind the first layers (features of images in
/// DeepStack).
struct Injection {
  at::Tensor rows;                      ///< [M] int64, each once
  std::vector<at::Tensor> after_layer;  ///< [M, H], for layers 0, 1, ...
};

/// Embedding, layers, final norm. Every layer is a unit; so are embedding and norm together, the
/// root. Called whole, or in the steps that it consists of: embed, enter, run_layers, leave.
class Decoder {
 public:
  /// Adds its Params below `prefix` ("model."), under their hub names.
  Decoder(ParamTable& params, const DecoderConfig& config, const std::string& prefix);

  /// A batch of T tokens -> [T, H] after the final norm.
  Hidden operator()(const Batch& batch, const RunContext& context) const {
    return from_embeddings(embed(batch, context), batch, context);
  }
  /// The same, where some rows of the embeddings [T, H] come from elsewhere (features of images).
  Hidden from_embeddings(at::Tensor embeddings, const Batch& batch, const RunContext& context,
                         const Injection& injection = {}) const;

  /// [T, H] of the batch's ids.
  at::Tensor embed(const Batch& batch, const RunContext& context) const;
  /// What enters layer 0. Reads no weight; the batch outlives the state.
  DecoderState enter(at::Tensor embeddings, const Batch& batch,
                     const Injection& injection = {}) const;
  /// Through layers [first, last).
  DecoderState run_layers(DecoderState state, size_t first, size_t last,
                          const RunContext& context) const;
  /// The final norm of what left the last layer.
  Hidden leave(const DecoderState& state, const RunContext& context) const;

  const Embedding& embedding() const { return embedding_; }
  const DecoderConfig& config() const { return config_; }
  /// Whether a gradient flows out of the top of the decoder into its parameters.
  bool trains() const;
  /// FLOPs of forward and backward of the layers for segments of these lengths, two for each
  /// multiply-add of the matrices and of attention (its causal half, windows counted, and
  /// `extra_pairs` beyond it), recompute not counted. Backward counts gradients of inputs where
  /// something below trains, and of weights that train. `below_trains`: something beside the
  /// embedding takes a gradient from the first layer's input.
  double train_flops(std::span<const int64_t> lengths, bool below_trains = false,
                     double extra_pairs = 0) const;

 private:
  DecoderConfig config_;
  std::string root_;  // the unit of embedding and final norm
  Embedding embedding_;
  std::vector<DecoderLayer> layers_;
  Norm norm_;
  Rotary rotary_;
};

}  // namespace lmms::nn
