#pragma once
/// AutoencoderKL of diffusers: the autoencoder of Stable Diffusion and its kin. Sources: Rombach et
/// al. 2022, "High-resolution image synthesis with latent diffusion models", appendix E;
/// AutoencoderKL of diffusers 0.42.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/autoencoder.h"
#include "models/config_reader.h"
#include "models/model.h"
#include "nn/linear.h"
#include "nn/memory.h"

namespace lmms::models::autoencoder_kl {

struct Config {
  int64_t in_channels = 3, out_channels = 3, latent_channels = 4;
  std::vector<int64_t> widths = {128, 256, 512, 512};  ///< block_out_channels, from pixels on
  int64_t layers = 2;                                  ///< layers_per_block
  int64_t groups = 32;                                 ///< norm_num_groups
  double scale = 0.18215, shift = 0;
  bool middle_attention = true;  ///< mid_block_add_attention
  bool quant = true, post_quant = true;

  int64_t stride() const { return int64_t{1} << (widths.size() - 1); }
};

/// Keys and defaults of diffusers' AutoencoderKL. Throws ConfigFault, also for what is not built.
Config read_config(const ConfigReader& config);

/// y = conv(x) + b, weight [out, in, k, k].
struct Convolution {
  const nn::Param *weight = nullptr, *bias = nullptr;
};

/// GroupNorm.
struct GroupNorm {
  const nn::Param *weight = nullptr, *bias = nullptr;
};

/// x' + conv2(silu(norm2(conv1(silu(norm1(x)))))), where x' is x, or a 1x1 convolution of it.
struct Resnet {
  GroupNorm norm1, norm2;
  Convolution conv1, conv2, shortcut;  ///< no shortcut: as many channels out as in
};

/// One head over all places of an image: x + out(attention(norm(x))).
struct MiddleAttention {
  GroupNorm norm;
  nn::Linear q, k, v, out;
};

/// Some resnets, then half or twice the size.
struct Stage {
  std::vector<Resnet> resnets;
  Convolution resample;  ///< none in the last stage
};

struct Middle {
  Resnet first, second;
  MiddleAttention attention;
};

/// Either half.
struct Half {
  Convolution conv_in, conv_out;
  std::vector<Stage> stages;
  Middle middle;
  GroupNorm norm_out;
};

class AutoencoderKl final : public Model, public Autoencoder {
 public:
  /// Throws ConfigFault.
  AutoencoderKl(const nlohmann::json& config, const std::string& where);

  const Autoencoder* autoencoder() const override { return this; }
  /// Images one at a time, or several where they are small: memory grows with pixels, not with N.
  /// Without gradients.
  Posterior encode(const at::Tensor& pixels, const nn::RunContext& context) const override;
  at::Tensor decode(const at::Tensor& latents, const nn::RunContext& context) const override;
  int64_t channels() const override { return settings_.latent_channels; }
  int64_t stride() const override { return settings_.stride(); }
  double scale() const override { return settings_.scale; }
  double shift() const override { return settings_.shift; }
  const Config& settings() const { return settings_; }

  /// 0: it is not trained.
  double train_flops(const Workload& work) const override;
  double lmms_engine_flops(const Workload& work) const override;

 private:
  Config settings_;
  Half encoder_, decoder_;
  Convolution quant_, post_quant_;
};

}  // namespace lmms::models::autoencoder_kl

namespace lmms::models {

/// An autoencoder with its weights, to compute with.
struct OpenAutoencoder {
  std::unique_ptr<Model> model;
  nn::ModelMemory memory;

  const Autoencoder& operator*() const { return *model->autoencoder(); }
  const Autoencoder* operator->() const { return model->autoencoder(); }
};

/// Opens a folder of diffusers (config.json, diffusion_pytorch_model.safetensors or .bin), or a
/// whole pipeline's with such a folder `vae` in it. Weights are kept as `dtype` (kFloat,
/// kBFloat16); on the meta device they are not read. Throws Error: no such folder, another kind of
/// model, weights that are not there or do not fit.
OpenAutoencoder open_autoencoder(const std::filesystem::path& folder, at::Device device,
                                 at::ScalarType dtype = at::kFloat);

}  // namespace lmms::models
