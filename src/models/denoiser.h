#pragma once
/// A capability: networks that tell data from noise, for diffusion and flow matching. None of them
/// knows what is minimised.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/attention/attention.h"
#include "nn/run_context.h"

namespace lmms::models {

/// What a denoiser moves between noise and data: `channels` planes of height x width, cut into
/// square patches. As tokens a sample is [patches(), patch_values()], the patches row by row, each
/// (channel, row, column).
struct LatentShape {
  int64_t channels = 4, height = 32, width = 32, patch = 2;

  int64_t rows() const { return height / patch; }
  int64_t columns() const { return width / patch; }
  int64_t patches() const { return rows() * columns(); }
  int64_t patch_values() const { return channels * patch * patch; }
  int64_t values() const { return channels * height * width; }
  bool operator==(const LatentShape&) const = default;
};

/// S noisy samples, P tokens in all, and what the network is told of them.
struct NoisyInput {
  at::Tensor x;                      ///< [P, patch_values] fp32
  at::Tensor t;                      ///< [S] fp32
  at::Tensor classes;                ///< [S] int64; Denoiser::classes(): told none
  kernels::AttentionPlan attention;  ///< one full segment a sample, perhaps a pad behind them
};

/// The way between noise x0 (t = 0) and data x1 (t = 1): x_t = alpha(t) x1 + sigma(t) x0 (Ma et al.
/// 2024, "SiT", section 3).
enum class InterpolantPath { linear, gvp, vp };
/// What a network predicts.
enum class Prediction { velocity, score, noise };
/// What its error is weighted with.
enum class LossWeighting { none, velocity, likelihood };

/// How a checkpoint of a denoiser was trained, which its sampling must know: keys of its
/// config.json.
struct TransportConfig {
  InterpolantPath path = InterpolantPath::linear;
  Prediction prediction = Prediction::velocity;
  LossWeighting weighting = LossWeighting::none;
  std::optional<double> train_eps = {},
                        sample_eps = {};  ///< absent: as path and prediction need them

  bool operator==(const TransportConfig&) const = default;
};

class Denoiser {
 public:
  virtual ~Denoiser() = default;
  /// What TransportConfig::prediction says, [P, patch_values] fp32.
  virtual at::Tensor predict(const NoisyInput& in, const nn::RunContext& context) const = 0;
  virtual LatentShape shape() const = 0;
  /// Classes that it is conditioned on; 0: none. One more stands for "told none", if
  /// class_dropout() > 0.
  virtual int64_t classes() const = 0;
  /// Share of the samples whose class training leaves out, for guidance.
  virtual double class_dropout() const = 0;
  virtual TransportConfig transport() const = 0;
  /// Folder of the autoencoder whose latents it denoises, as its config.json has it; empty: it
  /// denoises pixels in [-1, 1].
  virtual std::string autoencoder_path() const = 0;
};

}  // namespace lmms::models
