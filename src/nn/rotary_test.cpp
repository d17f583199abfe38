#include "nn/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace lmms::nn {
namespace {

TEST(Rotary, turns_dimension_i_by_theta_to_the_minus_2i_over_D) {
  RopeConfig config;
  config.theta = 500;
  const Rotary rotary(config, 8);
  ASSERT_EQ(rotary.inverse_frequencies().size(), 4u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(rotary.inverse_frequencies()[static_cast<size_t>(i)],
                std::pow(500.0, -2.0 * i / 8.0), 1e-7);
  }
}

TEST(Rotary, tables_hold_cosine_and_sine_of_position_times_frequency) {
  const Rotary rotary({}, 6);
  const at::Tensor positions = at::arange(0, 40, at::kInt);
  const auto [cos, sin] = rotary.tables(positions, at::kFloat);
  ASSERT_EQ(cos.sizes(), (at::IntArrayRef{40, 3}));
  for (int64_t t : {0, 1, 39}) {
    for (int64_t i = 0; i < 3; ++i) {
      const double angle =
          static_cast<double>(t) * rotary.inverse_frequencies()[static_cast<size_t>(i)];
      EXPECT_NEAR(cos[t][i].item<float>(), std::cos(angle), 1e-5) << t << " " << i;
      EXPECT_NEAR(sin[t][i].item<float>(), std::sin(angle), 1e-5) << t << " " << i;
    }
  }
}

TEST(Rotary, computes_angles_in_fp32_whatever_the_tables_hold) {
  const Rotary rotary({}, 4);
  const at::Tensor positions = at::arange(3000, 3010, at::kInt);  // bf16 cannot count so far
  const auto [half, _] = rotary.tables(positions, at::kBFloat16);
  EXPECT_TRUE(half.equal(rotary.tables(positions, at::kFloat).first.to(at::kBFloat16)));
}

TEST(Rotary, linear_stretching_divides_every_frequency) {
  RopeConfig config;
  config.kind = RopeConfig::Kind::linear;
  config.factor = 4;
  const Rotary plain({}, 8), stretched(config, 8);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_FLOAT_EQ(stretched.inverse_frequencies()[i], plain.inverse_frequencies()[i] / 4);
  EXPECT_EQ(stretched.attention_scaling(), 1.0);
}

TEST(Rotary, yarn_keeps_fast_waves_and_stretches_slow_ones) {
  RopeConfig config;
  config.kind = RopeConfig::Kind::yarn;
  config.factor = 4;
  config.original_positions = 4096;
  const Rotary plain({}, 64), yarn(config, 64);
  EXPECT_EQ(yarn.inverse_frequencies().front(), plain.inverse_frequencies().front());
  EXPECT_FLOAT_EQ(yarn.inverse_frequencies().back(), plain.inverse_frequencies().back() / 4);
  EXPECT_NEAR(yarn.attention_scaling(), 0.1 * std::log(4.0) + 1, 1e-12);
  config.attention_factor = 0.5;
  EXPECT_EQ(Rotary(config, 64).attention_scaling(), 0.5);
}

// theta and D of Llama 3.1: pairs 0 to 28 turn at least four times in 8192 positions, those from 36
// on less than once.
TEST(Rotary, llama3_keeps_fast_waves_and_stretches_slow_ones) {
  RopeConfig config;
  config.theta = 5e5;
  const Rotary plain(config, 128);
  config.kind = RopeConfig::Kind::llama3;
  config.factor = 8;
  config.original_positions = 8192;
  const Rotary llama(config, 128);
  for (size_t i = 0; i < 64; ++i) {
    const double f = plain.inverse_frequencies()[i], turns = 8192 * f / 6.283185307179586;
    const double kept = std::clamp((turns - 1) / 3, 0.0, 1.0);
    EXPECT_NEAR(llama.inverse_frequencies()[i], f * (kept + (1 - kept) / 8), 1e-6 * f) << i;
  }
  EXPECT_EQ(llama.inverse_frequencies()[28], plain.inverse_frequencies()[28]);
  EXPECT_LT(llama.inverse_frequencies()[30], plain.inverse_frequencies()[30]);
  EXPECT_EQ(llama.inverse_frequencies()[35], plain.inverse_frequencies()[35] / 8);
  EXPECT_EQ(llama.attention_scaling(), 1.0);
}

TEST(Rotary, sections_turn_frequencies_by_their_own_axis) {
  RopeConfig config;
  config.sections = {1, 2, 1};
  const Rotary plain({}, 8), mrope(config, 8);
  const at::Tensor t = at::arange(3, 8, at::kInt), h = t * 2, w = t * 5;
  const auto [cos, sin] = mrope.tables(at::stack({t, h, w}), at::kFloat);
  EXPECT_TRUE(cos.is_contiguous() && sin.is_contiguous());  // as kernels read them
  const std::vector<at::Tensor> alone = {plain.tables(t, at::kFloat).second,
                                         plain.tables(h, at::kFloat).second,
                                         plain.tables(w, at::kFloat).second};
  const std::vector<size_t> axes = {0, 1, 1, 2};
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto column = static_cast<int64_t>(i);
    EXPECT_TRUE(sin.select(1, column).equal(alone[axes[i]].select(1, column))) << i;
  }
}

TEST(Rotary, interleaved_sections_take_turns_and_leave_the_rest_to_time) {
  RopeConfig config;
  config.sections = {4, 2, 2};
  config.interleaved = true;
  const Rotary plain({}, 16), mrope(config, 16);
  const at::Tensor t = at::arange(3, 8, at::kInt), h = t * 2, w = t * 5;
  const auto [cos, sin] = mrope.tables(at::stack({t, h, w}), at::kFloat);
  EXPECT_TRUE(cos.is_contiguous() && sin.is_contiguous());  // as kernels read them
  const std::vector<at::Tensor> alone = {plain.tables(t, at::kFloat).second,
                                         plain.tables(h, at::kFloat).second,
                                         plain.tables(w, at::kFloat).second};
  const std::vector<size_t> axes = {0, 1, 2, 0, 1, 2, 0, 0};
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto column = static_cast<int64_t>(i);
    EXPECT_TRUE(sin.select(1, column).equal(alone[axes[i]].select(1, column))) << i;
  }
}

TEST(Rotary, one_position_on_all_axes_is_plain_rotation) {
  RopeConfig config;
  config.sections = {1, 2, 1};
  const Rotary plain({}, 8), mrope(config, 8);
  const at::Tensor t = at::arange(0, 9, at::kInt);
  const at::Tensor expected = plain.tables(t, at::kFloat).first;
  EXPECT_TRUE(mrope.tables(t, at::kFloat).first.equal(expected));
  EXPECT_TRUE(mrope.tables(at::stack({t, t, t}), at::kFloat).first.equal(expected));
}

TEST(Rotary, refuses_sections_that_do_not_fill_the_head) {
  RopeConfig config;
  config.sections = {16, 24, 24};
  EXPECT_THROW(Rotary(config, 64), Error);
}

TEST(Rotary, refuses_an_odd_head) {
  EXPECT_THROW(Rotary({}, 7), Error);
}

}  // namespace
}  // namespace lmms::nn
