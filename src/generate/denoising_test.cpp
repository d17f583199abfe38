// A denoiser whose answer is known: data of one Gaussian, N(mean_of(class), deviation^2 I), whose
// velocity, score and noise are closed forms. What samplers make of it is then known too.
#include "generate/denoising.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/draws.h"
#include "models/denoiser.h"

namespace lmms::generate {
namespace {

using models::InterpolantPath;
using models::Prediction;

constexpr double kDeviation = 0.5;
constexpr int64_t kClasses = 3;

double mean_of(int64_t c) {
  return c == kClasses ? 0.25 : 2.0 * static_cast<double>(c) - 1;
}

/// Of latents of 2 channels of 4 x 4, patches of 2: P = 4, W = 8.
class Gaussian : public models::Model, public models::Denoiser {
 public:
  explicit Gaussian(models::TransportConfig transport)
      : Model(nlohmann::json::object(), "Gaussian"), transport_(transport) {}

  const models::Denoiser* denoiser() const override { return this; }
  double train_flops(const models::Workload&) const override { return 0; }
  double lmms_engine_flops(const models::Workload&) const override { return 0; }
  models::LatentShape shape() const override { return {2, 4, 4, 2}; }
  int64_t classes() const override { return kClasses; }
  double class_dropout() const override { return 0.1; }
  models::TransportConfig transport() const override { return transport_; }
  std::string autoencoder_path() const override { return ""; }

  at::Tensor predict(const models::NoisyInput& in, const nn::RunContext&) const override {
    EXPECT_EQ(in.attention.segments.size(), static_cast<size_t>(in.t.size(0)));
    ++calls;
    std::vector<at::Tensor> out;
    const int64_t P = shape().patches();
    for (int64_t s = 0; s < in.t.size(0); ++s)
      out.push_back(
          of_one(in.x.narrow(0, s * P, P), in.t[s].item<double>(), in.classes[s].item<int64_t>()));
    return at::cat(out);
  }

  mutable int64_t calls = 0;

 private:
  at::Tensor of_one(const at::Tensor& x, double t, int64_t c) const {
    const auto p = objectives::path_at(transport_.path, t);
    const double variance = p.alpha * p.alpha * kDeviation * kDeviation + p.sigma * p.sigma;
    const at::Tensor from_mean = x - p.alpha * mean_of(c);
    const at::Tensor x1 = from_mean * (p.alpha * kDeviation * kDeviation / variance) + mean_of(c);
    const at::Tensor x0 = from_mean * (p.sigma / variance);  // expected, given x
    switch (transport_.prediction) {
      case Prediction::velocity:
        return x1 * p.d_alpha + x0 * p.d_sigma;
      case Prediction::score:
        return -from_mean / variance;
      case Prediction::noise:
        break;
    }
    return x0;
  }

  models::TransportConfig transport_;
};

at::Tensor noise_of(int64_t samples) {
  at::Tensor out = at::empty({samples * 4, 8}, at::kFloat);
  float* to = out.mutable_data_ptr<float>();
  for (int64_t s = 0; s < samples; ++s)
    for (int64_t i = 0; i < 32; ++i)
      *to++ = static_cast<float>(data::DrawKey(5, s).normal(rng::Purpose::noise, i));
  return out;
}

DenoisingInput told(std::vector<int64_t> classes) {
  DenoisingInput input{.classes = std::move(classes), .seed = 5};
  for (size_t s = 0; s < input.classes.size(); ++s)
    input.ordinals.push_back(static_cast<int64_t>(s));
  return input;
}

at::Tensor samples_of(const Gaussian& model, const std::vector<int64_t>& classes,
                      const DenoisingOptions& options) {
  const step::ForwardModel forward(model, at::kCPU, {});
  return *denoise(forward, noise_of(std::ssize(classes)), told(classes), options);
}

double largest(const at::Tensor& x) {
  return x.abs().max().item<double>();
}

/// The probability flow carries x0 to mean + deviation * x0 here, whichever the path.
at::Tensor exact(const std::vector<int64_t>& classes) {
  at::Tensor out = noise_of(std::ssize(classes)) * kDeviation;
  for (size_t s = 0; s < classes.size(); ++s)
    out.narrow(0, static_cast<int64_t>(s) * 4, 4).add_(mean_of(classes[s]));
  return out;
}

class EveryTransport : public testing::TestWithParam<std::tuple<InterpolantPath, Prediction>> {
 protected:
  models::TransportConfig transport() const {
    return {.path = std::get<0>(GetParam()), .prediction = std::get<1>(GetParam())};
  }
};

TEST_P(EveryTransport, ends_where_the_probability_flow_does) {
  const Gaussian model(transport());
  const std::vector<int64_t> classes{0, 2, 1};
  const bool cut =
      transport().path == InterpolantPath::vp || transport().prediction != Prediction::velocity;
  // where an interval is cut by 1e-3 the ends are missed by about as much; a vp path begins with a
  // little data in its noise
  const double end = cut ? 0.02 : 1e-5;
  const auto off = [&](const DenoisingOptions& options) {
    return largest(samples_of(model, classes, options) - exact(classes));
  };
  EXPECT_LT(off({.sampler = Sampler::heun, .steps = 1000}), end + 1e-4);
  EXPECT_LT(off({.sampler = Sampler::dopri5}), end + 5e-3);
  const double coarse = off({.sampler = Sampler::euler, .steps = 40}),
               fine = off({.sampler = Sampler::euler, .steps = 400});
  EXPECT_LT(fine, 0.25 * coarse + end);
}

INSTANTIATE_TEST_SUITE_P(
    All, EveryTransport,
    testing::Combine(testing::Values(InterpolantPath::linear, InterpolantPath::gvp,
                                     InterpolantPath::vp),
                     testing::Values(Prediction::velocity, Prediction::score, Prediction::noise)));

TEST(Denoising, heun_is_of_second_order_and_euler_of_first) {
  const Gaussian model({});
  const auto off = [&](Sampler sampler, int64_t steps) {
    return largest(samples_of(model, {2}, {.sampler = sampler, .steps = steps}) - exact({2}));
  };
  EXPECT_NEAR(off(Sampler::euler, 20) / off(Sampler::euler, 40), 2, 0.2);
  EXPECT_NEAR(off(Sampler::heun, 20) / off(Sampler::heun, 40), 4, 0.6);
}

class EveryDiffusion : public testing::TestWithParam<SdeDiffusion> {};

TEST_P(EveryDiffusion, of_the_sde_has_the_distribution_of_the_data) {
  const Gaussian model({});
  const std::vector<int64_t> classes(200, 2);  // 6,400 numbers
  // the step to the mean adds no noise: it would leave too little of it where w is large at the end
  const at::Tensor x = samples_of(model, classes,
                                  {.sampler = Sampler::sde,
                                   .steps = 250,
                                   .diffusion = GetParam(),
                                   .last_step = LastStep::euler});
  EXPECT_NEAR(x.mean().item<double>(), mean_of(2), 0.04);
  EXPECT_NEAR(x.std().item<double>(), kDeviation, 0.05);
}

INSTANTIATE_TEST_SUITE_P(All, EveryDiffusion,
                         testing::Values(SdeDiffusion::sbdm, SdeDiffusion::sigma,
                                         SdeDiffusion::linear, SdeDiffusion::constant,
                                         SdeDiffusion::decreasing,
                                         SdeDiffusion::increasing_decreasing));

TEST(Denoising, guidance_goes_beyond_the_class_away_from_none) {
  const Gaussian model({});
  const at::Tensor plain = samples_of(model, {2}, {}),
                   guided = samples_of(model, {2}, {.guidance = 2});
  // the mean of the guided velocity is that of 2 * mean_of(2) - mean_of(none)
  EXPECT_NEAR((guided - plain).mean().item<double>(), mean_of(2) - mean_of(kClasses), 0.1);
  const at::Tensor part = samples_of(model, {2}, {.guidance = 2, .guided_channels = 1});
  EXPECT_EQ(largest(part.narrow(1, 0, 4) - guided.narrow(1, 0, 4)), 0);
  EXPECT_EQ(largest(part.narrow(1, 4, 4) - plain.narrow(1, 4, 4)), 0);
}

TEST(Denoising, an_interval_guides_at_its_times_alone) {
  const Gaussian model({});
  const at::Tensor plain = samples_of(model, {2}, {});
  const auto with = [&](double from, double to) {
    return samples_of(model, {2}, {.guidance = 3, .guidance_from = from, .guidance_to = to});
  };
  EXPECT_EQ(largest(with(0.995, 1) - plain), 0);  // no step of 50 begins there
  EXPECT_EQ(largest(with(0, 1) - samples_of(model, {2}, {.guidance = 3})), 0);
  const double some = largest(with(0.3, 0.6) - plain);
  EXPECT_GT(some, 0.1);
  EXPECT_LT(some, largest(with(0, 1) - plain));
}

TEST(Denoising, a_sample_does_not_depend_on_those_beside_it) {
  const Gaussian model({});
  for (const Sampler sampler : {Sampler::euler, Sampler::heun, Sampler::sde}) {
    const DenoisingOptions options{.sampler = sampler, .steps = 10, .guidance = 1.5};
    const at::Tensor alone = samples_of(model, {1}, options);
    const at::Tensor beside = samples_of(model, {1, 0, 2}, options).narrow(0, 0, 4);
    EXPECT_TRUE(alone.equal(beside));
  }
}

TEST(Denoising, asks_the_network_as_often_as_it_says) {
  const Gaussian model({});
  const auto calls = [&](const DenoisingOptions& options) {
    model.calls = 0;
    (void)samples_of(model, {1}, options);
    return model.calls;
  };
  EXPECT_EQ(calls({.steps = 7}), 7);
  EXPECT_EQ(calls({.steps = 7, .guidance = 2}), 7);  // both halves at once
  EXPECT_EQ(calls({.sampler = Sampler::heun, .steps = 7}), 14);
  EXPECT_EQ(calls({.sampler = Sampler::sde, .steps = 7}), 7);
  EXPECT_EQ(calls({.sampler = Sampler::sde, .steps = 7, .last_step = LastStep::none}), 7);
}

// A network that has diverged: a sampler must not search for a step that suits it.
TEST(Denoising, of_what_is_not_finite_ends) {
  const Gaussian model({});
  int asked = 0;
  const auto out = denoise({model, at::kCPU, {}}, noise_of(1) / 0.0, told({1}),
                           {.sampler = Sampler::dopri5}, {.stop = [&] { return ++asked == 100; }});
  EXPECT_TRUE(out);
}

TEST(Denoising, stops_where_it_is_asked_to) {
  const Gaussian model({});
  const step::ForwardModel forward(model, at::kCPU, {});
  for (const Sampler sampler : {Sampler::euler, Sampler::dopri5, Sampler::sde}) {
    int asked = 0;
    double share = -1;
    const auto out = denoise(forward, noise_of(1), told({1}), {.sampler = sampler},
                             {.stop = [&] { return ++asked == 3; },
                              .progress =
                                  [&](double now) {
                                    EXPECT_GE(now, share);
                                    share = now;
                                  }});
    EXPECT_FALSE(out);
    EXPECT_LT(share, 1);
  }
}

}  // namespace
}  // namespace lmms::generate
