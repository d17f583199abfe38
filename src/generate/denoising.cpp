#include "generate/denoising.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "data/draws.h"
#include "kernels/on_device.h"
#include "models/denoiser.h"
#include "objectives/interpolant.h"

// S samples, P patches of each, W values of a patch
namespace lmms::generate {
namespace {

using models::InterpolantPath;

constexpr double kPi = std::numbers::pi;

/// A time and the way there.
struct Point {
  Point(InterpolantPath path, double t) : t(t), path(objectives::path_at(path, t)) {}

  double t;
  objectives::PathAt<double> path;
};

/// w(t)
double diffusion_at(const Point& at, const DenoisingOptions& options) {
  const double norm = options.diffusion_norm;
  switch (options.diffusion) {
    case SdeDiffusion::sbdm:
      return norm * at.path.variance;
    case SdeDiffusion::sigma:
      return norm * at.path.sigma;
    case SdeDiffusion::linear:
      return norm * (1 - at.t);
    case SdeDiffusion::constant:
      return norm;
    case SdeDiffusion::decreasing:
      return 0.25 * std::pow(norm * std::cos(kPi * at.t) + 1, 2);
    case SdeDiffusion::increasing_decreasing:
      return norm * std::pow(std::sin(kPi * at.t), 2);
  }
  return 0;
}

/// The network at a time, as velocity and as score.
class Field {
 public:
  Field(const step::ForwardModel& forward, const DenoisingInput& input,
        const DenoisingOptions& options)
      : forward_(forward),
        denoiser_(*forward.model.denoiser()),
        options_(options),
        transport_(denoiser_.transport()),
        samples_(std::ssize(input.classes)),
        told_(at::tensor(input.classes, at::kLong).to(forward.device)) {
    const int64_t P = denoiser_.shape().patches();
    const auto plan = [&](int64_t samples) {
      return kernels::attention_plan(std::vector<int64_t>(static_cast<size_t>(samples), P),
                                     forward.device, AttentionMode::full);
    };
    attention_ = plan(samples_);
    if (options.guidance == 1) return;
    both_attention_ = plan(2 * samples_);
    both_told_ = at::cat({told_, at::full_like(told_, denoiser_.classes())});
  }

  InterpolantPath path() const { return transport_.path; }

  at::Tensor velocity(const at::Tensor& x, const Point& at) const {
    return velocity_of(predict(x, at.t), x, at);
  }
  at::Tensor velocity_of(const at::Tensor& prediction, const at::Tensor& x, const Point& at) const {
    return objectives::to_velocity(transport_.prediction, prediction, x, at.path);
  }
  at::Tensor score_of(const at::Tensor& prediction, const at::Tensor& x, const Point& at) const {
    return objectives::to_score(transport_.prediction, prediction, x, at.path);
  }

  /// What the network says, guided.
  at::Tensor predict(const at::Tensor& x, double t) const {
    const bool guided =
        options_.guidance != 1 && t >= options_.guidance_from && t <= options_.guidance_to;
    if (!guided) return run(x, t, told_, attention_);
    const std::vector<at::Tensor> halves =
        run(at::cat({x, x}), t, both_told_, both_attention_).chunk(2);
    const at::Tensor &with = halves[0], &without = halves[1];
    at::Tensor out = without + (with - without) * options_.guidance;
    const models::LatentShape shape = denoiser_.shape();
    if (!options_.guided_channels || *options_.guided_channels >= shape.channels) return out;
    const int64_t first = *options_.guided_channels * shape.patch * shape.patch;  // of W
    return at::cat({out.narrow(1, 0, first), with.narrow(1, first, with.size(1) - first)}, 1);
  }

 private:
  at::Tensor run(const at::Tensor& x, double t, const at::Tensor& classes,
                 const kernels::AttentionPlan& attention) const {
    const at::Tensor times = at::full({classes.size(0)}, t, x.options());
    return denoiser_.predict({.x = x, .t = times, .classes = classes, .attention = attention},
                             forward_.context);
  }

  const step::ForwardModel& forward_;
  const models::Denoiser& denoiser_;
  const DenoisingOptions& options_;
  models::TransportConfig transport_;
  int64_t samples_;
  at::Tensor told_, both_told_;  // [S], [2 S]
  kernels::AttentionPlan attention_, both_attention_;
};

/// One walk from noise to data.
class Walk {
 public:
  Walk(const step::ForwardModel& forward, const DenoisingInput& input,
       const DenoisingOptions& options, const DenoisingHooks& hooks)
      : field_(forward, input, options),
        input_(input),
        options_(options),
        hooks_(hooks),
        way_(sampling_interval(forward.model.denoiser()->transport(), options)) {}

  std::optional<at::Tensor> go(at::Tensor x) {
    switch (options_.sampler) {
      case Sampler::euler:
      case Sampler::heun:
        return fixed(std::move(x));
      case Sampler::dopri5:
        return adaptive(std::move(x));
      case Sampler::sde:
        return stochastic(std::move(x));
    }
    return std::nullopt;
  }

 private:
  Point at(double t) const { return {field_.path(), t}; }
  bool stopped(double share) const {
    hooks_.progress(share);
    return hooks_.stop();
  }

  std::optional<at::Tensor> fixed(at::Tensor x) const {
    const double h = (way_.end - way_.begin) / static_cast<double>(options_.steps);
    for (int64_t i = 0; i < options_.steps; ++i) {
      if (stopped(static_cast<double>(i) / static_cast<double>(options_.steps)))
        return std::nullopt;
      const double t = way_.begin + static_cast<double>(i) * h;
      const at::Tensor v = field_.velocity(x, at(t));
      if (options_.sampler == Sampler::euler) {
        x = x + v * h;
      } else {
        x = x + (v + field_.velocity(x + v * h, at(t + h))) * (h / 2);
      }
    }
    return x;
  }

  /// [S * P, W] standard normal: of step i the numbers [i V, (i + 1) V) of each sample's stream.
  at::Tensor fresh_noise(const at::Tensor& like, int64_t i) const {
    const auto samples = std::ssize(input_.ordinals);
    const int64_t values = like.numel() / samples;
    std::vector<float> out(static_cast<size_t>(like.numel()));
    at::parallel_for(0, samples, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      float* to = out.data() + begin * values;
      for (int64_t s = begin; s < end; ++s) {
        const data::DrawKey key(input_.seed, input_.ordinals[static_cast<size_t>(s)]);
        for (int64_t v = 0; v < values; ++v)
          *to++ = static_cast<float>(key.normal(rng::Purpose::sampling, i * values + v));
      }
    });
    // without waiting for the device, which still computes the steps before
    return kernels::on_device(out, at::kFloat, like.device()).view(like.sizes());
  }

  std::optional<at::Tensor> stochastic(at::Tensor x) const {
    const bool last = options_.last_step != LastStep::none;
    const int64_t steps = std::max<int64_t>(options_.steps - (last ? 1 : 0), 1);
    const double h = (way_.end - way_.begin) / static_cast<double>(steps);
    for (int64_t i = 0; i < steps; ++i) {
      if (stopped(static_cast<double>(i) / static_cast<double>(steps + 1))) return std::nullopt;
      const Point point = at(way_.begin + static_cast<double>(i) * h);
      const double w = diffusion_at(point, options_);
      x = x + drift(x, point, w) * h + fresh_noise(x, i) * std::sqrt(2 * w * h);
    }
    return last ? last_step(x) : x;
  }

  /// v + w s
  at::Tensor drift(const at::Tensor& x, const Point& point, double w) const {
    const at::Tensor prediction = field_.predict(x, point.t);
    return field_.velocity_of(prediction, x, point) + field_.score_of(prediction, x, point) * w;
  }

  at::Tensor last_step(const at::Tensor& x) const {
    const Point point = at(way_.end);
    if (options_.last_step == LastStep::euler)
      return x + field_.velocity(x, point) * options_.last_step_size;
    if (options_.last_step == LastStep::mean)
      return x + drift(x, point, diffusion_at(point, options_)) * options_.last_step_size;
    const objectives::PathAt<double>& p = point.path;
    const at::Tensor score = field_.score_of(field_.predict(x, point.t), x, point);
    return x / p.alpha + score * (p.sigma * p.sigma / p.alpha);
  }

  std::optional<at::Tensor> adaptive(at::Tensor x) const;
  double first_step(const at::Tensor& x, const at::Tensor& v) const;

  Field field_;
  const DenoisingInput& input_;
  const DenoisingOptions& options_;
  const DenoisingHooks& hooks_;
  objectives::Interval way_;
};

double rms(const at::Tensor& x) {
  return std::sqrt(x.square().mean().item<double>());
}

/// Hairer, Norsett & Wanner 1993, "Solving ordinary differential equations I", II.4.
double Walk::first_step(const at::Tensor& x, const at::Tensor& v) const {
  const at::Tensor scale = x.abs() * options_.rtol + options_.atol;
  const double d0 = rms(x / scale), d1 = rms(v / scale);
  const double h0 = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
  const at::Tensor next = field_.velocity(x + v * h0, at(way_.begin + h0));
  const double d2 = rms((next - v) / scale) / h0;
  const double h1 = d1 <= 1e-15 && d2 <= 1e-15 ? std::max(1e-6, h0 * 1e-3)
                                               : std::pow(0.01 / std::max(d1, d2), 1.0 / 5);
  return std::min({100 * h0, h1, way_.end - way_.begin});
}

// Dormand & Prince 1980, RK5(4)7M: rows of the tableau; and the difference to the fourth order of
// Shampine 1986, as torchdiffeq has it.
constexpr std::array<double, 7> kNodes{0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1};
constexpr double kStages[7][6] = {
    {},
    {1.0 / 5},
    {3.0 / 40, 9.0 / 40},
    {44.0 / 45, -56.0 / 15, 32.0 / 9},
    {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
    {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656},
    {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84}};
constexpr std::array<double, 7> kError{35.0 / 384 - 1951.0 / 21600,
                                       0,
                                       500.0 / 1113 - 22642.0 / 50085,
                                       125.0 / 192 - 451.0 / 720,
                                       -2187.0 / 6784 + 12231.0 / 42400,
                                       11.0 / 84 - 649.0 / 6300,
                                       -1.0 / 60};

/// The error's norm is taken over all samples together; the host waits for it.
std::optional<at::Tensor> Walk::adaptive(at::Tensor x) const {
  constexpr double kSafety = 0.9, kLeast = 0.2, kMost = 10;
  std::array<at::Tensor, 7> k;
  double t = way_.begin;
  k[0] = field_.velocity(x, at(t));
  double h = first_step(x, k[0]);
  if (!std::isfinite(h)) return x + k[0] * (way_.end - way_.begin);  // nor is k: no step helps
  while (t < way_.end) {
    if (stopped((t - way_.begin) / (way_.end - way_.begin))) return std::nullopt;
    const bool reaches = t + h >= way_.end - 1e-12;
    if (reaches) h = way_.end - t;
    at::Tensor next;
    for (size_t i = 1; i < 7; ++i) {
      next = x;
      for (size_t j = 0; j < i; ++j)
        if (kStages[i][j] != 0) next = next + k[j] * (h * kStages[i][j]);
      k[i] = field_.velocity(next, at(t + kNodes[i] * h));
    }
    at::Tensor error = k[0] * (h * kError[0]);
    for (size_t i = 2; i < 7; ++i) error = error + k[i] * (h * kError[i]);
    const at::Tensor scale = at::maximum(x.abs(), next.abs()) * options_.rtol + options_.atol;
    const double ratio = rms(error / scale);
    const bool finite = std::isfinite(ratio), least = h < 1e-6;
    if (!finite && least) return next;  // no step is small enough: the images will show it
    const bool accepted = finite && (ratio <= 1 || least);
    if (accepted) {
      t = reaches ? way_.end : t + h;
      x = next;
      k[0] = k[6];  // the same place
    }
    const double factor = ratio == 0 ? kMost : kSafety * std::pow(ratio, -1.0 / 5);
    h *= finite ? std::clamp(factor, accepted ? 1.0 : kLeast, kMost) : kLeast;
  }
  return x;
}

template <class Enum, size_t N>
Enum named(const std::array<std::pair<const char*, Enum>, N>& names, const std::string& name) {
  for (const auto& [text, value] : names)
    if (name == text) return value;
  throw std::invalid_argument("no such name: " + name);
}

}  // namespace

Sampler sampler_named(const std::string& name) {
  return named<Sampler, 4>({{{"euler", Sampler::euler},
                             {"heun", Sampler::heun},
                             {"dopri5", Sampler::dopri5},
                             {"sde", Sampler::sde}}},
                           name);
}

SdeDiffusion diffusion_named(const std::string& name) {
  return named<SdeDiffusion, 6>({{{"sbdm", SdeDiffusion::sbdm},
                                  {"sigma", SdeDiffusion::sigma},
                                  {"linear", SdeDiffusion::linear},
                                  {"constant", SdeDiffusion::constant},
                                  {"decreasing", SdeDiffusion::decreasing},
                                  {"increasing-decreasing", SdeDiffusion::increasing_decreasing}}},
                                name);
}

LastStep last_step_named(const std::string& name) {
  return named<LastStep, 4>({{{"none", LastStep::none},
                              {"mean", LastStep::mean},
                              {"tweedie", LastStep::tweedie},
                              {"euler", LastStep::euler}}},
                            name);
}

objectives::Interval sampling_interval(const models::TransportConfig& transport,
                                       const DenoisingOptions& options) {
  if (options.sampler != Sampler::sde) return objectives::flow_interval(transport);
  return objectives::diffusion_interval(
      transport, options.diffusion == SdeDiffusion::sbdm,
      options.last_step == LastStep::none ? 0 : options.last_step_size);
}

std::optional<at::Tensor> denoise(const step::ForwardModel& forward, const at::Tensor& noise,
                                  const DenoisingInput& input, const DenoisingOptions& options,
                                  const DenoisingHooks& hooks) {
  const c10::NoGradGuard no_grad;
  auto out = Walk(forward, input, options, hooks).go(noise);
  if (out) hooks.progress(1);
  return out;
}

}  // namespace lmms::generate
