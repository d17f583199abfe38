#pragma once
/// The vision tower of Qwen2.5-VL: patches of images and video frames of any size to features of
/// the language model. Source: Bai et al. 2025, "Qwen2.5-VL", section 2.1.1;
/// Qwen2_5_VisionTransformerPretrainedModel of transformers 5.17.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/attention/attention.h"
#include "nn/glu_mlp.h"
#include "nn/linear.h"
#include "nn/param.h"
#include "nn/rotary.h"
#include "nn/run.h"
#include "nn/vision_input.h"

namespace lmms::models::qwen_vl {

struct VisionConfig {
  int64_t depth = 32, hidden_size = 3584, intermediate_size = 3420, heads = 16;
  int64_t in_channels = 3, patch_size = 14, temporal_patch_size = 2;
  int64_t merge = 2;          ///< merge x merge patches make one token
  int64_t window = 4;         ///< side of an attention window, in tokens
  std::vector<bool> is_full;  ///< [depth]: the block sees whole frames instead of windows
  int64_t out_hidden_size = 3584;
  double rope_theta = 10000.0;
  double initializer_range = 0.02;

  int64_t head_dim() const { return hidden_size / heads; }
  int64_t patch_width() const {
    return in_channels * temporal_patch_size * patch_size * patch_size;
  }
};

/// Who sees whom, on the device.
struct VisionPlans {
  kernels::AttentionPlan windows, frames;
};

/// What crosses the blocks of the tower.
struct VisionState {
  at::Tensor hidden;                         ///< [P, H]
  at::Tensor cos, sin;                       ///< [P, D / 2] fp32
  std::shared_ptr<const VisionPlans> plans;  ///< shared: backward may run the block again

  template <class F>
  void each(F f) {
    f(hidden);
    f(cos);
    f(sin);
  }
};

/// x += attention(norm1(x)); x += mlp(norm2(x)).
struct VisionBlock {
  nn::RmsNorm norm1, norm2;
  nn::Linear qkv, proj;
  nn::GluMlp mlp;
  int64_t heads = 0;
  bool full = false;

  VisionState operator()(const VisionState& state) const;
};

class VisionTower {
 public:
  /// Adds its Params below `prefix` ("visual."), under their hub names.
  VisionTower(nn::ParamTable& params, const VisionConfig& config, const std::string& prefix);

  /// Images of P patches -> [P / merge^2, out_hidden_size], in the order of their tokens. Throws
  /// Error if patches and grids do not fit each other or the config.
  at::Tensor operator()(const nn::VisionInput& input, const nn::RunContext& context) const;

  /// The smallest image that there is, black.
  nn::VisionInput smallest_input(at::Device device) const;
  bool trains() const;
  /// FLOPs of forward and backward, two for each multiply-add of the matrices and of attention
  /// within windows or frames; frozen parts as in nn::Decoder::train_flops.
  double train_flops(std::span<const PatchGrid> grids) const;
  const VisionConfig& config() const { return config_; }

 private:
  void check(const nn::VisionInput& input) const;

  VisionConfig config_;
  const nn::Param*
      patch_embed_;  // [H, C, tp, ps, ps], the kernel of a convolution with stride = size
  std::vector<VisionBlock> blocks_;
  nn::RmsNorm merger_norm_;
  nn::Linear merger_up_, merger_down_;
  nn::Rotary rotary_;  // of half a head: one half turns by row, the other by column
};

}  // namespace lmms::models::qwen_vl
