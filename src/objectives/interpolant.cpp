#include "objectives/interpolant.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/expm1.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/square.h>
#include <ATen/ops/tan.h>

#include <cmath>
#include <numbers>
#include <optional>

namespace lmms::objectives {
namespace {

using models::InterpolantPath;
using models::LossWeighting;
using models::Prediction;
using models::TransportConfig;
// of double; those of tensors are found by their argument
using std::cos;
using std::exp;
using std::expm1;
using std::sin;
using std::sqrt;
using std::tan;

constexpr double kBetaMin = 0.1, kBetaMax = 20;  // of the variance-preserving diffusion

double constant(double, double value) {
  return value;
}
at::Tensor constant(const at::Tensor& t, double value) {
  return at::ones_like(t) * value;
}

template <class T>
PathAt<T> with_variance(PathAt<T> at) {
  at.variance = at.ratio * at.sigma * at.sigma - at.sigma * at.d_sigma;
  return at;
}

template <class T>
PathAt<T> linear(const T& t) {
  const T one = constant(t, 1);
  return with_variance<T>({t, one, one - t, -one, one / t, {}});
}

template <class T>
PathAt<T> gvp(const T& t) {
  constexpr double kHalfPi = std::numbers::pi / 2;
  const T angle = t * kHalfPi, sine = sin(angle), cosine = cos(angle);
  return with_variance<T>(
      {sine, cosine * kHalfPi, cosine, sine * -kHalfPi, kHalfPi / tan(angle), {}});
}

template <class T>
PathAt<T> vp(const T& t) {
  const T left = 1 - t;
  const T log_alpha = left * left * (-0.25 * (kBetaMax - kBetaMin)) - left * (0.5 * kBetaMin);
  const T ratio = left * (0.5 * (kBetaMax - kBetaMin)) + 0.5 * kBetaMin;  // beta(t) / 2
  const T alpha = exp(log_alpha);
  const T sigma = sqrt(-expm1(2 * log_alpha));
  return {alpha, alpha * ratio, sigma, -alpha * alpha * ratio / sigma, ratio, ratio};
}

template <class T>
PathAt<T> path_of(InterpolantPath path, const T& t) {
  switch (path) {
    case InterpolantPath::linear:
      return linear(t);
    case InterpolantPath::gvp:
      return gvp(t);
    case InterpolantPath::vp:
      break;
  }
  return vp(t);
}

bool is_stable_everywhere(const TransportConfig& transport) {
  return transport.path != InterpolantPath::vp && transport.prediction == Prediction::velocity;
}

constexpr double kLeastStep = 1e-3;

double positive_or(const std::optional<double>& given, double otherwise) {
  return given && *given > 0 ? *given : otherwise;
}

}  // namespace

PathAt<double> path_at(InterpolantPath path, double t) {
  return path_of(path, t);
}

PathAt<at::Tensor> path_at(InterpolantPath path, const at::Tensor& t) {
  return path_of(path, t);
}

double train_eps(const TransportConfig& transport) {
  if (is_stable_everywhere(transport)) return 0;
  return positive_or(transport.train_eps,
                     transport.path == InterpolantPath::vp ? 1e-5 : kLeastStep);
}

double sample_eps(const TransportConfig& transport) {
  return is_stable_everywhere(transport) ? 0 : positive_or(transport.sample_eps, kLeastStep);
}

Interval training_interval(const TransportConfig& transport) {
  const double eps = train_eps(transport);
  return {transport.path == InterpolantPath::vp ? 0 : eps, 1 - eps};
}

Interval flow_interval(const TransportConfig& transport) {
  const double eps = sample_eps(transport);
  return {transport.path == InterpolantPath::vp ? 0 : eps, 1 - eps};
}

Interval diffusion_interval(const TransportConfig& transport, bool divides_by_alpha,
                            double last_step) {
  const double eps = sample_eps(transport);
  const double end = 1 - (last_step > 0 ? last_step : eps);
  if (transport.path == InterpolantPath::vp) return {0, end};
  const bool divides = divides_by_alpha || transport.prediction != Prediction::velocity;
  return {divides ? (eps > 0 ? eps : kLeastStep) : 0, end};
}

at::Tensor weighted_error(const TransportConfig& transport, const at::Tensor& prediction,
                          const at::Tensor& x0, const at::Tensor& x1,
                          const PathAt<at::Tensor>& at) {
  if (transport.prediction == Prediction::velocity)
    return at::square(prediction - (at.d_alpha * x1 + at.d_sigma * x0));
  const at::Tensor error = at::square(
      transport.prediction == Prediction::noise ? prediction - x0 : prediction * at.sigma + x0);
  if (transport.weighting == LossWeighting::none) return error;
  const at::Tensor weight = transport.weighting == LossWeighting::velocity
                                ? at::square(at.variance / at.sigma)
                                : at.variance / at::square(at.sigma);
  return weight * error;
}

}  // namespace lmms::objectives
