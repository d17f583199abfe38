#pragma once
/// The vision towers of Qwen2.5-VL and Qwen3-VL: patches of images and video frames of any size to
/// features of the language model. Sources: Bai et al. 2025, "Qwen2.5-VL", section 2.1.1; Meng et
/// al. 2024, "DeepStack"; Qwen2_5_VisionTransformerPretrainedModel and Qwen3VLVisionModel of
/// transformers 5.17.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nn/linear.h"
#include "nn/media_input.h"
#include "nn/param.h"
#include "nn/rotary.h"
#include "nn/run.h"
#include "nn/vision_block.h"

namespace lmms::models::qwen_vl {

struct VisionPlan;

enum class Generation { qwen2_5, qwen3 };

struct VisionConfig {
  /// qwen2_5: RMSNorm, gated MLP with silu, windows. qwen3: LayerNorm, MLP with gelu (tanh), a bias
  /// of the patch embedding, a table of positions, DeepStack.
  Generation generation = Generation::qwen2_5;
  int64_t depth = 32, hidden_size = 3584, intermediate_size = 3420, heads = 16;
  int64_t in_channels = 3, patch_size = 14, temporal_patch_size = 2;
  int64_t merge = 2;          ///< merge x merge patches make one token
  int64_t window = 4;         ///< side of an attention window, in tokens
  std::vector<bool> is_full;  ///< [depth]: the block sees whole frames instead of windows
  int64_t positions = 0;      ///< entries of the table of positions, a square at least; 0: none
  std::vector<int64_t> deepstack;  ///< ascending: features of these blocks enter the decoder too
  int64_t out_hidden_size = 3584;
  double rope_theta = 10000.0;
  double initializer_range = 0.02;

  int64_t head_dim() const { return hidden_size / heads; }
  int64_t patch_width() const {
    return in_channels * temporal_patch_size * patch_size * patch_size;
  }
};

/// merge x merge patches to one feature: down(gelu(up(norm))).
struct VisionMerger {
  nn::Norm norm;
  bool norms_merged = false;  ///< the norm is over the merged patches instead of each of them
  nn::Linear up, down;

  /// [P, H] -> [P / merge^2, out].
  at::Tensor operator()(const at::Tensor& x, const nn::UnitRun& how) const;
  bool trains() const { return norm.trains() || up.trains() || down.trains(); }
};

/// Rows in the order of the tokens.
struct VisionFeatures {
  at::Tensor merged;                  ///< [M, out_hidden_size]
  std::vector<at::Tensor> deepstack;  ///< the same shape, one for each block of config.deepstack
};

class VisionTower {
 public:
  /// Adds its Params below `prefix` ("visual."), under their hub names.
  VisionTower(nn::ParamTable& params, const VisionConfig& config, const std::string& prefix);

  /// Throws Error if patches and grids do not fit each other or the config.
  VisionFeatures operator()(const nn::MediaInput& input, const nn::RunContext& context) const;

  /// The smallest image that there is, black.
  nn::MediaInput smallest_input(at::Device device) const;
  bool trains() const;
  /// FLOPs of forward and backward, two for each multiply-add of the matrices and of attention
  /// within windows or frames; frozen parts as in nn::Decoder::train_flops.
  double train_flops(std::span<const PatchGrid> grids) const;
  const VisionConfig& config() const { return config_; }

 private:
  void check(const nn::MediaInput& input) const;
  /// Patches in the order of the plan, with their positions, [P, H].
  at::Tensor embed(const nn::MediaInput& input, const VisionPlan& plan,
                   const nn::RunContext& context) const;
  /// [P, H] -> [M, out_hidden_size], from their places to the order of the tokens.
  at::Tensor merged(const VisionMerger& merger, const at::Tensor& hidden, const at::Tensor& places,
                    const nn::RunContext& context) const;

  VisionConfig config_;
  std::string root_;  // the unit of all that is outside blocks
  // [H, C, tp, ps, ps], the kernel of a convolution with stride = size
  const nn::Param *patch_embed_ = nullptr, *patch_bias_ = nullptr;
  const nn::Param* positions_ = nullptr;  // [config.positions, H]
  std::vector<nn::VisionBlock> blocks_;
  VisionMerger merger_;
  std::vector<VisionMerger> deepstack_;
  nn::Rotary rotary_;  // of half a head: one half turns by row, the other by column
};

}  // namespace lmms::models::qwen_vl
