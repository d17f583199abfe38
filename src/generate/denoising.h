#pragma once
/// From noise to data along the way that a denoiser has learnt: ordinary and stochastic
/// differential equations, with guidance. Sources: Ma et al. 2024, "SiT", sections 2 and 3, and the
/// authors' transport; Ho & Salimans 2022, "Classifier-free diffusion guidance"; Kynkaanniemi et
/// al. 2024, "Applying guidance in a limited interval"; Dormand & Prince 1980.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "objectives/interpolant.h"
#include "step/forward_model.h"

namespace lmms::generate {

/// dx = v dt by Euler's, Heun's or Dormand and Prince's steps; or the SDE of the same marginals,
/// dx = (v + w s) dt + sqrt(2 w) dW, by Euler and Maruyama's.
enum class Sampler { euler, heun, dopri5, sde };
/// w(t) of the SDE: var of the score's drift, sigma, 1 - t, 1, (1 + cos pi t)^2 / 4, sin^2 pi t.
enum class SdeDiffusion { sbdm, sigma, linear, constant, decreasing, increasing_decreasing };
/// The SDE's last step, from 1 - last_step_size to 1: none (the others reach the end), without
/// noise, the mean of the data as the score sees it, or the ODE's.
enum class LastStep { none, mean, tweedie, euler };

struct DenoisingOptions {
  Sampler sampler = Sampler::euler;
  int64_t steps = 50;               ///< of euler, heun and sde, its last one among them
  double rtol = 1e-3, atol = 1e-6;  ///< of dopri5
  /// The prediction told no class + guidance * (the one told the class - it); 1: the latter alone.
  double guidance = 1;
  double guidance_from = 0, guidance_to = 1;    ///< guided at these times alone
  std::optional<int64_t> guided_channels = {};  ///< the first so many; absent: all
  SdeDiffusion diffusion = SdeDiffusion::sigma;
  double diffusion_norm = 1;
  LastStep last_step = LastStep::mean;
  double last_step_size = 0.04;

  bool operator==(const DenoisingOptions&) const = default;
};

/// By the names of the command line and of a config ("euler"; "increasing-decreasing"; "mean").
/// Throw std::invalid_argument.
Sampler sampler_named(const std::string& name);
SdeDiffusion diffusion_named(const std::string& name);
LastStep last_step_named(const std::string& name);

/// What is told of S samples.
struct DenoisingInput {
  std::vector<int64_t> classes = {};   ///< [S] Denoiser::classes(): told none
  uint64_t seed = 0;                   ///< of the SDE's noise
  std::vector<int64_t> ordinals = {};  ///< [S] the stream of each sample's noise
};

struct DenoisingHooks {
  std::function<bool()> stop = [] { return false; };  ///< asked before every step
  std::function<void(double share)> progress = [](double) {};
};

/// `noise` [S * P, patch_values] fp32 on the device, standard normal -> data of the same shape;
/// nothing if `stop` became true. Without gradients. A sample does not depend on those beside it,
/// but for dopri5, whose steps suit all of them.
std::optional<at::Tensor> denoise(const step::ForwardModel& forward, const at::Tensor& noise,
                                  const DenoisingInput& input, const DenoisingOptions& options,
                                  const DenoisingHooks& hooks = {});

/// The times between which a sampler goes: as far as path, prediction and the SDE's diffusion are
/// finite.
objectives::Interval sampling_interval(const models::TransportConfig& transport,
                                       const DenoisingOptions& options);

}  // namespace lmms::generate
