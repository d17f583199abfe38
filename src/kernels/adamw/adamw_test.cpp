#include "kernels/adamw/adamw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/numbers_testing.h"

namespace lmms::kernels {
namespace {

using testing::numbers;

/// The control of a step whose gradients have this sum of squares, the `t`-th that is applied.
StepControl decided(double sum_of_squares, double max_norm = 0, int64_t t = 1) {
  StepControl c;
  c.max_norm = max_norm;
  c.applied = t - 1;
  step_decide(c, sum_of_squares);
  return c;
}

TEST(AdamwPrepare, rounds_what_it_makes_of_betas_and_rates_once) {
  AdamwStep s;
  s.beta1 = 0.99;
  s.beta2 = 0.99999;  // 1 - 0.99999f is off by 7e-4
  s.learning_rates[0] = 1e-3;
  s.groups = 2;
  s.learning_rates[1] = 3e-5;
  for (int t = 1; t <= 3; ++t) {
    const StepControl control = decided(16.0, 1.0, t);
    adamw_prepare(s, control);
    EXPECT_EQ(s.factors.clip, control.clip);
    EXPECT_EQ(s.factors.first_share, static_cast<float>(1.0 - 0.99));
    EXPECT_EQ(s.factors.second_share, static_cast<float>(1.0 - 0.99999));
    EXPECT_EQ(s.factors.correction, static_cast<float>(std::sqrt(1.0 - std::pow(0.99999, t))));
    EXPECT_EQ(s.step_sizes[0], static_cast<float>(1e-3 / (1.0 - std::pow(0.99, t))));
    EXPECT_EQ(s.step_sizes[1], static_cast<float>(3e-5 / (1.0 - std::pow(0.99, t))));
  }
  const AdamwRange range{.weight_decay = 0.1};
  EXPECT_EQ(adamw_decay(s, range), static_cast<float>(1.0 - 1e-3 * 0.1));
}

TEST(AdamwUpdate, has_the_bits_of_its_element_with_and_without_an_instruction_for_fma) {
  for (const double beta1 : {0.9, 0.3, 0.0}) {  // the first moment comes from either end
    const auto p0 = numbers(1001, 1), m0 = numbers(1001, 2), g = numbers(1001, 5);
    auto p = p0, m = m0, v = numbers(1001, 6), gradient = g;
    for (float& x : v) x *= x;
    const auto v0 = v;
    AdamwStep s;
    s.beta1 = beta1;
    s.learning_rates[0] = 0.01;
    const StepControl control = decided(4.0, 1.0);
    adamw_prepare(s, control);
    const AdamwRange range{p.data(), m.data(),    v.data(), gradient.data(),
                           nullptr,  Stored::f32, 0.1,      1001};
    adamw_update_cpu(control, s, range);
    for (size_t i = 0; i < p.size(); ++i) {
      float w = p0[i], first = m0[i], second = v0[i];
      adamw_element(w, first, second, g[i], s.factors, adamw_decay(s, range), s.step_sizes[0]);
      EXPECT_EQ(p[i], w) << i;
      EXPECT_EQ(m[i], first) << i;
      EXPECT_EQ(v[i], second) << i;
    }
  }
}

TEST(AdamwUpdate, leaves_everything_untouched_when_the_step_is_skipped) {
  auto p = numbers(100, 1), m = numbers(100, 2), v = std::vector<float>(100, 0.5f),
       g = numbers(100, 5);
  const auto p0 = p, m0 = m, v0 = v;
  AdamwStep s;
  s.learning_rates[0] = 0.1;
  const StepControl control = decided(std::numeric_limits<double>::quiet_NaN());
  adamw_prepare(s, control);
  adamw_update_cpu(control, s,
                   {p.data(), m.data(), v.data(), g.data(), nullptr, Stored::f32, 0.1, 100});
  EXPECT_EQ(p, p0);
  EXPECT_EQ(m, m0);
  EXPECT_EQ(v, v0);
}

TEST(AdamwUpdate, moves_fp32_masters_by_steps_that_bf16_would_lose) {
  // 1e-6 on a weight of 1 is below half a bf16 unit: only the master can keep it
  std::vector<float> p{1.0f}, m{0}, v{0}, g{1.0f};
  std::vector<uint16_t> bf16{0};
  AdamwStep s;
  s.learning_rates[0] = 1e-6;
  for (int t = 1; t <= 5000; ++t) {
    const StepControl control = decided(1.0, 0, t);
    adamw_prepare(s, control);
    adamw_update_cpu(control, s,
                     {p.data(), m.data(), v.data(), g.data(), bf16.data(), Stored::f32, 0.0, 1});
  }
  EXPECT_NEAR(p[0], 1.0 - 5e-3, 5e-4);
  EXPECT_EQ(bf16[0], 0x3f7f) << "0.996 in bf16";
}

TEST(AdamwUpdate, leaves_or_zeroes_the_gradient) {
  for (const double sum : {1.0, std::numeric_limits<double>::infinity()}) {  // updated, skipped
    std::vector<float> p{1.0f, 2.0f}, m(2), v(2), g{1.0f, -1.0f};
    AdamwStep s;
    const StepControl control = decided(sum);
    adamw_prepare(s, control);
    const AdamwRange range{p.data(), m.data(), v.data(), g.data(), nullptr, Stored::f32, 0.0, 2};
    adamw_update_cpu(control, s, range);
    EXPECT_EQ(g, (std::vector<float>{1.0f, -1.0f}));
    adamw_update_cpu(control, s, range, GradientSlots::zeroed);
    EXPECT_EQ(g, (std::vector<float>{0.0f, 0.0f}));
  }
}

TEST(AdamwRounding, draws_the_integers_of_our_philox) {
  for (uint64_t pair : {uint64_t{0}, uint64_t{12345}, (uint64_t{7} << 32) + 9}) {
    const rng::Key key = rng::key(42, rng::Purpose::rounding);
    const auto expected =
        rng::philox({static_cast<uint32_t>(pair), static_cast<uint32_t>(pair >> 32), 1000, 0}, key);
    const RoundingBits bits = rounding_bits(pair, 1000, key[0], key[1]);
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(bits.words[i], expected[i]);
  }
}

TEST(AdamwRounding, is_exact_on_average_and_keeps_what_bf16_holds) {
  const auto rounded = [](float x, uint32_t half) {
    return std::bit_cast<float>(uint32_t{round_at_random(std::bit_cast<uint32_t>(x), half)} << 16);
  };
  for (const float x : {1.001f, -3.1415927f, 1e-20f, 65000.1f}) {
    double sum = 0;
    for (uint32_t half = 0; half < 65536; ++half) sum += static_cast<double>(rounded(x, half));
    EXPECT_DOUBLE_EQ(sum / 65536, static_cast<double>(x));
  }
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(rounded(inf, 65535), inf);
  EXPECT_EQ(rounded(1.5f, 65535), 1.5f);
  EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(0x7f800001u), 0)));
}

struct Bf16State {
  std::vector<uint16_t> p, m, v;
  std::vector<float> g;
  AdamwRange range(int64_t first = 0) {
    AdamwRange r{p.data(), m.data(), v.data(), g.data(), nullptr, Stored::f32, 0.0};
    r.count = static_cast<int64_t>(p.size());
    r.state = Stored::bf16;
    r.first = first;
    return r;
  }
};

Bf16State ones(size_t n) {
  return {std::vector<uint16_t>(n, 0x3f80), std::vector<uint16_t>(n), std::vector<uint16_t>(n),
          std::vector<float>(n, 1.0f)};
}

AdamwStep rounding_step(double learning_rate) {
  AdamwStep s;
  s.learning_rates[0] = learning_rate;
  const rng::Key key = rng::key(1, rng::Purpose::rounding);
  std::copy(key.begin(), key.end(), s.rounding_key);
  return s;
}

TEST(AdamwRounding, moves_weights_on_average_by_a_thousandth_of_what_bf16_can_hold) {
  constexpr size_t kN = 1 << 20;
  Bf16State state = ones(kN);
  const double unit = 1.0 / 256;  // below 1 bf16 numbers are this far apart
  AdamwStep s = rounding_step(1e-3 * unit);
  const StepControl control = decided(1.0);
  adamw_prepare(s, control);
  adamw_update_cpu(control, s, state.range());
  double mean = 0;
  for (uint16_t x : state.p)
    mean += 1.0 - static_cast<double>(std::bit_cast<float>(uint32_t{x} << 16));
  mean /= kN;
  // of a million weights a thousand take a whole step: the mean's deviation is 3 %
  EXPECT_NEAR(mean, 1e-3 * unit, 5 * 0.032 * 1e-3 * unit);
}

TEST(AdamwRounding, depends_on_the_elements_number_and_the_update_alone) {
  constexpr size_t kN = 1001;
  AdamwStep s = rounding_step(1e-3);
  const StepControl first = decided(1.0), second = decided(1.0, 0, 2);
  adamw_prepare(s, first);
  Bf16State whole = ones(kN), later = ones(kN), part = ones(kN - 333);
  adamw_update_cpu(first, s, whole.range());
  adamw_update_cpu(first, s, part.range(333));
  EXPECT_TRUE(std::equal(part.p.begin(), part.p.end(), whole.p.begin() + 333));
  EXPECT_TRUE(std::equal(part.v.begin(), part.v.end(), whole.v.begin() + 333));
  adamw_prepare(s, second);
  adamw_update_cpu(second, s, later.range());
  EXPECT_NE(later.p, whole.p) << "another update draws other bits";
}

}  // namespace
}  // namespace lmms::kernels
