#pragma once
/// SigLIP's vision tower: square views of one size to hidden states of their patches. Sources: Zhai
/// et al. 2023, "Sigmoid loss for language image pre-training"; SiglipVisionModel of transformers
/// 5.17, without its pooling head.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/config_reader.h"
#include "nn/linear.h"
#include "nn/param.h"
#include "nn/run.h"
#include "nn/vision_block.h"

namespace lmms::models::siglip {

struct Config {
  int64_t layers = 12, hidden_size = 768, intermediate_size = 3072, heads = 12;
  int64_t channels = 3, image_size = 224, patch_size = 16;
  double norm_eps = 1e-6;
  /// The hidden states that leave: behind so many layers; those after it are not run.
  int64_t layers_run = 12;

  int64_t side() const { return image_size / patch_size; }  ///< patches a side of a view
  int64_t view_patches() const { return side() * side(); }
  int64_t patch_width() const { return channels * patch_size * patch_size; }
};

/// A vision_config; `defaults` where a key is absent. Throws Error naming file and key.
Config read_config(const ConfigReader& vision, const Config& defaults = {});

class Tower {
 public:
  /// Adds its Params below `prefix` ("vision_tower.vision_model."), under their hub names. What no
  /// hidden state passes (layers that are not run, the norm behind the last) is there for files
  /// alone and does not train.
  Tower(nn::ParamTable& params, const Config& config, const std::string& prefix);

  /// patches [views * view_patches, patch_width], each view row by row, each patch (channel, row,
  /// column) -> [views * view_patches, H], without a norm.
  at::Tensor operator()(const at::Tensor& patches, const nn::RunContext& context) const;

  bool trains() const;
  /// FLOPs of forward and backward of so many views.
  void count(nn::ChainFlops& chain, double views) const;
  const Config& config() const { return config_; }

 private:
  /// Patches with their positions, [P, H].
  at::Tensor embed(const at::Tensor& patches, const nn::RunContext& context) const;

  Config config_;
  const nn::Param *patch_embed_ = nullptr, *patch_bias_ = nullptr;  // [H, C, ps, ps], [H]
  const nn::Param* positions_ = nullptr;                            // [view_patches, H]
  std::vector<nn::VisionBlock> layers_;
};

}  // namespace lmms::models::siglip
