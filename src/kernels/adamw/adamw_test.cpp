#include "kernels/adamw/adamw.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <limits>
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
  sum_of_squares_cpu(g.data(), GradientType::f32, static_cast<int64_t>(g.size()), partials.data());
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
  EXPECT_FLOAT_EQ(c.clip, static_cast<float>(1.0 / (4.0 + 1e-6)));
  adamw_decide(c, 0.25);
  EXPECT_FLOAT_EQ(c.clip, 1.0f);
  c.max_norm = 0;
  adamw_decide(c, 1e10);
  EXPECT_FLOAT_EQ(c.clip, 1.0f) << "0 means no clipping";
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

TEST(AdamwUpdate, leaves_everything_untouched_when_the_step_is_skipped) {
  auto p = numbers(100, 1), m = numbers(100, 2), v = std::vector<float>(100, 0.5f),
       g = numbers(100, 5);
  const auto p0 = p, m0 = m, v0 = v;
  AdamwControl c;
  c.learning_rates[0] = 0.1;
  adamw_decide(c, std::numeric_limits<double>::quiet_NaN());
  adamw_update_cpu(c,
                   {p.data(), m.data(), v.data(), g.data(), nullptr, GradientType::f32, 0.1f, 100});
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
    adamw_update_cpu(
        c, {p.data(), m.data(), v.data(), g.data(), bf16.data(), GradientType::f32, 0.0f, 1});
  }
  EXPECT_NEAR(p[0], 1.0 - 5e-3, 5e-4);
  EXPECT_EQ(bf16[0], 0x3f7f) << "0.996 in bf16";
}

}  // namespace
}  // namespace lmms::kernels
