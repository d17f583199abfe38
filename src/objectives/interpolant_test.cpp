#include "objectives/interpolant.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <thread>

#include "core/error.h"
#include "data/latents.h"
#include "objectives/interpolant_drawing.h"
#include "objectives/interpolant_objective.h"

namespace lmms::objectives {
namespace {

using data::DrawKey;
using data::Sample;
using models::InterpolantPath;
using models::Prediction;
using models::TransportConfig;
using testing::HasSubstr;

constexpr InterpolantPath kPaths[] = {InterpolantPath::linear, InterpolantPath::gvp,
                                      InterpolantPath::vp};

TEST(Interpolant, derivatives_ratio_and_variance_are_those_of_the_path) {
  constexpr double h = 1e-6;
  for (const InterpolantPath path : kPaths) {
    for (const double t : {0.1, 0.5, 0.9}) {
      const PathAt<double> at = path_at(path, t), before = path_at(path, t - h),
                           behind = path_at(path, t + h);
      EXPECT_NEAR(at.d_alpha, (behind.alpha - before.alpha) / (2 * h), 1e-7);
      EXPECT_NEAR(at.d_sigma, (behind.sigma - before.sigma) / (2 * h), 1e-7);
      EXPECT_NEAR(at.ratio, at.d_alpha / at.alpha, 1e-12 * at.ratio);
      EXPECT_NEAR(at.variance, at.ratio * at.sigma * at.sigma - at.sigma * at.d_sigma,
                  1e-12 * at.variance);
    }
  }
}

TEST(Interpolant, tensors_agree_with_numbers_up_to_the_ends) {
  const std::vector<double> times{1e-3, 0.3, 0.999, 1 - 1e-5};
  for (const InterpolantPath path : kPaths) {
    const PathAt<at::Tensor> all = path_at(path, at::tensor(times, at::kFloat));
    for (size_t i = 0; i < times.size(); ++i) {
      const auto rounded = static_cast<double>(static_cast<float>(times[i]));
      const PathAt<double> one = path_at(path, rounded);
      const auto got = [&](const at::Tensor& x) {
        return x[static_cast<int64_t>(i)].item<double>();
      };
      EXPECT_NEAR(got(all.alpha), one.alpha, 4e-7 * one.alpha);
      // of cos near its zero the angle's rounding is left
      EXPECT_NEAR(got(all.sigma), one.sigma, 1e-6 * one.sigma + 1.2e-7);
      EXPECT_NEAR(got(all.ratio), one.ratio, 1e-6 * one.ratio + 1.2e-7);
    }
  }
}

TEST(Interpolant, predictions_turn_into_each_other) {
  const at::Tensor x0 = at::tensor({0.3, -1.2, 2.0}, at::kDouble),
                   x1 = at::tensor({-0.7, 0.4, 0.1}, at::kDouble);
  for (const InterpolantPath path : kPaths) {
    const PathAt<double> p = path_at(path, 0.37);
    const at::Tensor x = p.alpha * x1 + p.sigma * x0, velocity = p.d_alpha * x1 + p.d_sigma * x0,
                     score = x0 / -p.sigma;
    for (const Prediction kind : {Prediction::velocity, Prediction::score, Prediction::noise}) {
      const at::Tensor& told = kind == Prediction::velocity ? velocity
                               : kind == Prediction::score  ? score
                                                            : x0;
      EXPECT_LT((to_velocity(kind, told, x, p) - velocity).abs().max().item<double>(), 1e-12);
      EXPECT_LT((to_score(kind, told, x, p) - score).abs().max().item<double>(), 1e-12);
    }
  }
}

TEST(Interpolant, intervals_leave_out_what_is_infinite) {
  const TransportConfig velocity{}, noise{.prediction = Prediction::noise},
      vp{.path = InterpolantPath::vp};
  EXPECT_EQ(training_interval(velocity), (Interval{0, 1}));
  EXPECT_EQ(flow_interval(velocity), (Interval{0, 1}));
  EXPECT_EQ(training_interval(noise), (Interval{1e-3, 1 - 1e-3}));
  EXPECT_EQ(flow_interval(noise), (Interval{1e-3, 1 - 1e-3}));
  EXPECT_EQ(training_interval(vp), (Interval{0, 1 - 1e-5}));
  EXPECT_EQ(flow_interval(vp), (Interval{0, 1 - 1e-3}));
  EXPECT_EQ(diffusion_interval(velocity, true, 0.04), (Interval{1e-3, 0.96}));
  EXPECT_EQ(diffusion_interval(velocity, false, 0.04), (Interval{0, 0.96}));
  EXPECT_EQ(diffusion_interval(vp, true, 0), (Interval{0, 1 - 1e-3}));
  TransportConfig given = noise;
  given.train_eps = 0.01, given.sample_eps = 0.02;
  EXPECT_EQ(training_interval(given), (Interval{0.01, 0.99}));
  EXPECT_EQ(flow_interval(given), (Interval{0.02, 0.98}));
  given.train_eps = given.sample_eps = 0;  // as if left out
  EXPECT_EQ(training_interval(given), training_interval(noise));
  EXPECT_EQ(flow_interval(given), flow_interval(noise));
}

// --- What is drawn.

constexpr InterpolantDrawingSettings kSettings{
    .shape = {1, 4, 4, 2}, .times = {0.25, 0.75}, .classes = 3, .class_dropout = 0.25};

/// Both versions of an image: 16 numbers, and the same negated.
Sample image(int64_t class_id, bool decoded = true) {
  Sample sample = data::latent_sample(data::kLatents, {1, 2, 2}, 4, class_id);
  if (!decoded) return sample;
  std::vector<float>& mean = sample.extras[data::kMean];
  for (int i = 0; i < 32; ++i) mean.push_back(static_cast<float>(i < 16 ? i + 1 : -(i - 15)));
  sample.extras[data::kVersions] = {2};
  return sample;
}

Sample drawn(const InterpolantDrawingSettings& settings, int64_t ordinal, int64_t class_id = 1,
             bool decoded = true) {
  Sample sample = image(class_id, decoded);
  interpolant_drawing(settings)->draw(sample, DrawKey(7, ordinal));
  return sample;
}

TEST(InterpolantDrawing, depends_on_seed_and_ordinal_alone_whichever_thread_draws) {
  std::vector<Sample> here(16), there(16);
  for (int64_t i = 0; i < 16; ++i) here[static_cast<size_t>(i)] = drawn(kSettings, i);
  std::vector<std::thread> threads;
  for (int64_t part = 0; part < 4; ++part) {
    threads.emplace_back([&, part] {
      for (int64_t i = part; i < 16; i += 4) there[static_cast<size_t>(i)] = drawn(kSettings, i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::vector<float>> noises;
  for (size_t i = 0; i < here.size(); ++i) {
    EXPECT_EQ(here[i].extras, there[i].extras);
    EXPECT_TRUE(here[i].media == there[i].media);
    noises.insert(here[i].extras.at(data::kNoise));
  }
  EXPECT_EQ(noises.size(), here.size());
}

TEST(InterpolantDrawing, follows_its_laws) {
  constexpr int64_t kDraws = 4000;
  double none = 0, mirrored = 0, early = 0, sum = 0, squares = 0;
  for (int64_t i = 0; i < kDraws; ++i) {
    const Sample sample = drawn(kSettings, i);
    const float t = sample.extras.at(data::kTime).at(0);
    ASSERT_TRUE(t >= 0.25f && t <= 0.75f);
    early += t < 0.5f;
    const float told = sample.extras.at(data::kClass).at(0);
    ASSERT_TRUE(told == 1 || told == 3);
    none += told == 3;
    mirrored += sample.media.of(data::kLatents).values.at(0) < 0;
    for (const float x : sample.extras.at(data::kNoise)) sum += x, squares += double(x) * x;
  }
  // five standard deviations
  EXPECT_NEAR(none / kDraws, 0.25, 5 * std::sqrt(0.25 * 0.75 / kDraws));
  EXPECT_NEAR(mirrored / kDraws, 0.5, 5 * std::sqrt(0.25 / kDraws));
  EXPECT_NEAR(early / kDraws, 0.5, 5 * std::sqrt(0.25 / kDraws));
  EXPECT_NEAR(sum / (16 * kDraws), 0, 5 / std::sqrt(16.0 * kDraws));
  EXPECT_NEAR(squares / (16 * kDraws), 1, 5 * std::sqrt(2 / (16.0 * kDraws)));
}

TEST(InterpolantDrawing, counts_and_tells_the_same_of_an_image_that_is_not_decoded) {
  for (int64_t i = 0; i < 8; ++i) {
    const Sample with = drawn(kSettings, i), without = drawn(kSettings, i, 1, /*decoded=*/false);
    EXPECT_EQ(without.counts, with.counts);
    EXPECT_EQ(without.counts.at(data::kImages), 1);
    EXPECT_EQ(without.extras.at(data::kTime), with.extras.at(data::kTime));
    EXPECT_EQ(without.extras.at(data::kClass), with.extras.at(data::kClass));
    EXPECT_FALSE(without.extras.contains(data::kNoise));
    EXPECT_EQ(with.extras.at(data::kNoise).size(), 16u);
  }
}

TEST(InterpolantDrawing, mirrors_nothing_unless_asked) {
  InterpolantDrawingSettings settings = kSettings;
  settings.flip = false;
  for (int64_t i = 0; i < 32; ++i)
    EXPECT_EQ(drawn(settings, i).media.of(data::kLatents).values.at(0), 1);
}

TEST(InterpolantDrawing, refuses_classes_that_the_model_does_not_know) {
  const auto fault = [](const InterpolantDrawingSettings& settings, int64_t class_id) {
    try {
      (void)drawn(settings, 0, class_id);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(fault(kSettings, 4), HasSubstr("class 4, and the model knows 3"));
  EXPECT_EQ(fault(kSettings, 2), "");
  EXPECT_EQ(fault(kSettings, -1), "");  // told none
  InterpolantDrawingSettings always = kSettings;
  always.class_dropout = 0;
  EXPECT_THAT(fault(always, -1), HasSubstr("no class"));
}

}  // namespace
}  // namespace lmms::objectives
