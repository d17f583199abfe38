#pragma once
/// Ways between noise x0 (t = 0) and data x1 (t = 1), and what a network may predict of them:
///   x_t = alpha(t) x1 + sigma(t) x0,   velocity u = alpha'(t) x1 + sigma'(t) x0,
///   score s = grad log p_t(x_t) = -E[x0 | x_t] / sigma(t).
/// Source: Ma et al. 2024, "SiT", sections 2 and 3.1, table 1; transport/path.py of the authors.
#include <ATen/core/Tensor.h>

#include "models/denoiser.h"

namespace lmms::objectives {

/// At one time: T is double, or a tensor of times (fp32, any shape).
template <class T>
struct PathAt {
  T alpha, d_alpha;  ///< coefficient of the data, and its derivative
  T sigma, d_sigma;  ///< of the noise
  T ratio;           ///< alpha' / alpha
  T variance;        ///< ratio sigma^2 - sigma sigma': how much of the score a velocity has
};

/// linear: alpha = t, sigma = 1 - t; gvp: sin and cos of pi t / 2; vp: the variance-preserving
/// diffusion with beta from 0.1 to 20 (Song et al. 2021). Where alpha or sigma is 0 some members
/// are infinite.
PathAt<double> path_at(models::InterpolantPath path, double t);
PathAt<at::Tensor> path_at(models::InterpolantPath path, const at::Tensor& t);

/// What a network predicted, as a velocity or as a score. `x`: x_t; `at` broadcasts with it.
template <class T>
at::Tensor to_velocity(models::Prediction kind, const at::Tensor& prediction, const at::Tensor& x,
                       const PathAt<T>& at) {
  if (kind == models::Prediction::velocity) return prediction;
  if (kind == models::Prediction::score) return at.ratio * x + at.variance * prediction;
  return at.ratio * x - at.variance / at.sigma * prediction;
}
template <class T>
at::Tensor to_score(models::Prediction kind, const at::Tensor& prediction, const at::Tensor& x,
                    const PathAt<T>& at) {
  if (kind == models::Prediction::score) return prediction;
  if (kind == models::Prediction::noise) return -prediction / at.sigma;
  const T inverse = at.alpha / at.d_alpha;
  return (inverse * prediction - x) / (at.sigma * at.sigma - inverse * at.d_sigma * at.sigma);
}

/// Times from `begin` to `end`.
struct Interval {
  double begin = 0, end = 1;

  bool operator==(const Interval&) const = default;
};

/// train_eps and sample_eps; where the config leaves them out or says 0: what path and prediction
/// need to stay finite. A velocity on the linear and the gvp path needs none, and takes none if one
/// is given, as the authors have it.
double train_eps(const models::TransportConfig& transport);
double sample_eps(const models::TransportConfig& transport);

/// Of the times that training draws.
Interval training_interval(const models::TransportConfig& transport);
/// Of the probability flow.
Interval flow_interval(const models::TransportConfig& transport);
/// Of the stochastic equation. `last_step`: size of the step behind it; 0: none.
/// `divides_by_alpha`: its diffusion is infinite at t = 0 (the form SBDM): then it begins at
/// sample_eps, or 1e-3 where that is 0.
Interval diffusion_interval(const models::TransportConfig& transport, bool divides_by_alpha,
                            double last_step);

/// The squared error of a prediction [S, n] for noise x0, data x1 and x_t, with its weight:
///   velocity |v - u|^2,  noise w |e - x0|^2,  score w |sigma s + x0|^2,
///   w = 1, (variance / sigma)^2 or variance / sigma^2 (LossWeighting; section 3.2.1).
at::Tensor weighted_error(const models::TransportConfig& transport, const at::Tensor& prediction,
                          const at::Tensor& x0, const at::Tensor& x1, const PathAt<at::Tensor>& at);

}  // namespace lmms::objectives
