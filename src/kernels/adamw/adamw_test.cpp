#include "kernels/adamw/adamw.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "core/rng.h"

namespace lmms::kernels {
namespace {

std::vector<float> numbers(size_t n, uint32_t stream) {
  std::vector<float> out(n);
  for (size_t i = 0; i < n; ++i) {
    out[i] = static_cast<float>(
        rng::normal_pair(rng::philox({static_cast<uint32_t>(i), stream, 0, 0}, {1, 2})[0],
                         rng::philox({static_cast<uint32_t>(i), stream, 1, 0}, {1, 2})[0])[0]);
  }
  return out;
}

double norm_squared(const std::vector<float>& g, std::vector<double>& partials) {
  partials.assign(static_cast<size_t>(norm_blocks(static_cast<int64_t>(g.size()))), -1);
  sum_of_squares_cpu(g.data(), Stored::f32, static_cast<int64_t>(g.size()), partials.data());
  double sum = 0;
  for (double p : partials) sum += p;
  return sum;
}

TEST(AdamwNorm, covers_every_element_of_odd_sizes) {
  for (size_t n : {size_t{1}, size_t{7}, size_t{16384}, size_t{16385}, size_t{100003}}) {
    const auto g = numbers(n, 3);
    double exact = 0;
    for (float x : g) exact += static_cast<double>(x) * x;
    std::vector<double> partials;
    EXPECT_NEAR(norm_squared(g, partials), exact, exact * 1e-12) << n;
  }
}

TEST(AdamwNorm, has_the_same_bits_for_any_number_of_threads) {
  const auto g = numbers(200001, 4);
  std::vector<double> one, two;
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  norm_squared(g, one);
  at::set_num_threads(before > 1 ? before : 2);
  norm_squared(g, two);
  at::set_num_threads(before);
  EXPECT_EQ(one, two);
}

TEST(AdamwDecide, clips_as_torch_does) {
  AdamwControl c;
  c.learning_rates[0] = 1;
  c.max_norm = 1.0;
  adamw_decide(c, 16.0);
  EXPECT_DOUBLE_EQ(c.norm, 4.0);
  EXPECT_FLOAT_EQ(c.factors.clip, static_cast<float>(1.0 / (4.0 + 1e-6)));
  adamw_decide(c, 0.25);
  EXPECT_FLOAT_EQ(c.factors.clip, 1.0f);
  c.max_norm = 0;
  adamw_decide(c, 1e10);
  EXPECT_FLOAT_EQ(c.factors.clip, 1.0f) << "0 means no clipping";
}

TEST(AdamwDecide, skips_and_counts_what_is_not_finite) {
  const double inf = std::numeric_limits<double>::infinity(),
               nan = std::numeric_limits<double>::quiet_NaN();
  AdamwControl c;
  adamw_decide(c, 1.0);
  EXPECT_EQ(c.applied, 1);
  adamw_decide(c, inf);
  adamw_decide(c, nan);
  c.loss = nan;
  adamw_decide(c, 1.0);
  EXPECT_EQ(c.applied, 1);
  EXPECT_EQ(c.skipped_in_a_row, 3);
  EXPECT_EQ(c.skip, 1);
  c.loss = 2;
  adamw_decide(c, 1.0);
  EXPECT_EQ(c.applied, 2);
  EXPECT_EQ(c.skipped_in_a_row, 0);
}

TEST(AdamwDecide, counts_a_gradient_whose_squares_fp32_cannot_hold_as_infinite) {
  AdamwControl c;
  adamw_decide(c, 0.99e38);
  EXPECT_EQ(c.skip, 0);
  adamw_decide(c, 1.01e38);
  EXPECT_EQ(c.skip, 1);
  EXPECT_TRUE(std::isinf(c.norm));
}

TEST(AdamwDecide, rounds_what_it_makes_of_betas_and_rates_once) {
  AdamwControl c;
  c.beta1 = 0.99;
  c.beta2 = 0.99999;  // 1 - 0.99999f is off by 7e-4
  c.learning_rates[0] = 1e-3;
  c.groups = 2;
  c.learning_rates[1] = 3e-5;
  for (int t = 1; t <= 3; ++t) {
    adamw_decide(c, 1.0);
    EXPECT_EQ(c.factors.first_share, static_cast<float>(1.0 - 0.99));
    EXPECT_EQ(c.factors.second_share, static_cast<float>(1.0 - 0.99999));
    EXPECT_EQ(c.factors.correction, static_cast<float>(std::sqrt(1.0 - std::pow(0.99999, t))));
    EXPECT_EQ(c.step_sizes[0], static_cast<float>(1e-3 / (1.0 - std::pow(0.99, t))));
    EXPECT_EQ(c.step_sizes[1], static_cast<float>(3e-5 / (1.0 - std::pow(0.99, t))));
  }
  const AdamwRange range{.weight_decay = 0.1};
  EXPECT_EQ(adamw_decay(c, range), static_cast<float>(1.0 - 1e-3 * 0.1));
}

TEST(AdamwUpdate, has_the_bits_of_its_element_with_and_without_an_instruction_for_fma) {
  for (const double beta1 : {0.9, 0.3, 0.0}) {  // the first moment comes from either end
    const auto p0 = numbers(1001, 1), m0 = numbers(1001, 2), g = numbers(1001, 5);
    auto p = p0, m = m0, v = numbers(1001, 6), gradient = g;
    for (float& x : v) x *= x;
    const auto v0 = v;
    AdamwControl c;
    c.beta1 = beta1;
    c.learning_rates[0] = 0.01;
    c.max_norm = 1;
    adamw_decide(c, 4.0);
    const AdamwRange range{p.data(), m.data(),    v.data(), gradient.data(),
                           nullptr,  Stored::f32, 0.1,      1001};
    adamw_update_cpu(c, range);
    for (size_t i = 0; i < p.size(); ++i) {
      float w = p0[i], first = m0[i], second = v0[i];
      adamw_element(w, first, second, g[i], c.factors, adamw_decay(c, range), c.step_sizes[0]);
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
  AdamwControl c;
  c.learning_rates[0] = 0.1;
  adamw_decide(c, std::numeric_limits<double>::quiet_NaN());
  adamw_update_cpu(c, {p.data(), m.data(), v.data(), g.data(), nullptr, Stored::f32, 0.1, 100});
  EXPECT_EQ(p, p0);
  EXPECT_EQ(m, m0);
  EXPECT_EQ(v, v0);
}

TEST(AdamwUpdate, moves_fp32_masters_by_steps_that_bf16_would_lose) {
  // 1e-6 on a weight of 1 is below half a bf16 unit: only the master can keep it
  std::vector<float> p{1.0f}, m{0}, v{0}, g{1.0f};
  std::vector<uint16_t> bf16{0};
  AdamwControl c;
  c.learning_rates[0] = 1e-6;
  for (int step = 0; step < 5000; ++step) {
    adamw_decide(c, 1.0);
    adamw_update_cpu(c, {p.data(), m.data(), v.data(), g.data(), bf16.data(), Stored::f32, 0.0, 1});
  }
  EXPECT_NEAR(p[0], 1.0 - 5e-3, 5e-4);
  EXPECT_EQ(bf16[0], 0x3f7f) << "0.996 in bf16";
}

TEST(AdamwUpdate, leaves_or_zeroes_the_gradient_as_it_is_told) {
  for (const double sum : {1.0, std::numeric_limits<double>::infinity()}) {  // updated, skipped
    std::vector<float> p{1.0f, 2.0f}, m(2), v(2), g{1.0f, -1.0f};
    AdamwControl c;
    adamw_decide(c, sum);
    const AdamwRange range{p.data(), m.data(), v.data(), g.data(), nullptr, Stored::f32, 0.0, 2};
    adamw_update_cpu(c, range);
    EXPECT_EQ(g, (std::vector<float>{1.0f, -1.0f}));
    adamw_update_cpu(c, range, GradientSlots::zeroed);
    EXPECT_EQ(g, (std::vector<float>{0.0f, 0.0f}));
  }
}

TEST(AdamwTiles, cover_every_range_and_none_twice) {
  const auto tiles = tiles_of(std::vector<int64_t>{10, 0, 8, 1}, 4);
  const std::vector<std::pair<int, int>> expected{{0, 0}, {0, 1}, {0, 2}, {2, 0}, {2, 1}, {3, 0}};
  ASSERT_EQ(tiles.size(), expected.size());
  for (size_t i = 0; i < tiles.size(); ++i) {
    EXPECT_EQ(tiles[i].range, expected[i].first);
    EXPECT_EQ(tiles[i].index, expected[i].second);
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

AdamwControl rounding_control() {
  AdamwControl c;
  const rng::Key key = rng::key(1, rng::Purpose::rounding);
  std::copy(key.begin(), key.end(), c.rounding_key);
  return c;
}

TEST(AdamwRounding, moves_weights_on_average_by_a_thousandth_of_what_bf16_can_hold) {
  constexpr size_t kN = 1 << 20;
  Bf16State state = ones(kN);
  AdamwControl c = rounding_control();
  const double unit = 1.0 / 256;  // below 1 bf16 numbers are this far apart
  c.learning_rates[0] = 1e-3 * unit;
  adamw_decide(c, 1.0);
  adamw_update_cpu(c, state.range());
  double mean = 0;
  for (uint16_t x : state.p)
    mean += 1.0 - static_cast<double>(std::bit_cast<float>(uint32_t{x} << 16));
  mean /= kN;
  // of a million weights a thousand take a whole step: the mean's deviation is 3 %
  EXPECT_NEAR(mean, 1e-3 * unit, 5 * 0.032 * 1e-3 * unit);
}

TEST(AdamwRounding, depends_on_the_elements_number_and_the_update_alone) {
  constexpr size_t kN = 1001;
  AdamwControl c = rounding_control();
  c.learning_rates[0] = 1e-3;
  adamw_decide(c, 1.0);
  Bf16State whole = ones(kN), again = ones(kN), part = ones(kN - 333);
  adamw_update_cpu(c, whole.range());
  adamw_update_cpu(c, part.range(333));
  EXPECT_TRUE(std::equal(part.p.begin(), part.p.end(), whole.p.begin() + 333));
  EXPECT_TRUE(std::equal(part.v.begin(), part.v.end(), whole.v.begin() + 333));
  adamw_decide(c, 1.0);
  adamw_update_cpu(c, again.range());
  EXPECT_NE(again.p, whole.p) << "another update draws other bits";
}

}  // namespace
}  // namespace lmms::kernels
