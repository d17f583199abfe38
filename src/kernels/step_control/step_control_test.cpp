#include "kernels/step_control/step_control.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/numbers_testing.h"

namespace lmms::kernels {
namespace {

using testing::numbers;

double norm_squared(const std::vector<float>& g, std::vector<double>& partials) {
  partials.assign(static_cast<size_t>(norm_blocks(static_cast<int64_t>(g.size()))), -1);
  sum_of_squares_cpu(g.data(), Stored::f32, static_cast<int64_t>(g.size()), partials.data());
  double sum = 0;
  for (double p : partials) sum += p;
  return sum;
}

TEST(GradientNorm, covers_every_element_of_odd_sizes) {
  for (size_t n : {size_t{1}, size_t{7}, size_t{16384}, size_t{16385}, size_t{100003}}) {
    const auto g = numbers(n, 3);
    double exact = 0;
    for (float x : g) exact += static_cast<double>(x) * x;
    std::vector<double> partials;
    EXPECT_NEAR(norm_squared(g, partials), exact, exact * 1e-12) << n;
  }
}

TEST(GradientNorm, has_the_same_bits_for_any_number_of_threads) {
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

TEST(StepDecide, clips_as_torch_does) {
  StepControl c;
  c.max_norm = 1.0;
  step_decide(c, 16.0);
  EXPECT_DOUBLE_EQ(c.norm, 4.0);
  EXPECT_FLOAT_EQ(c.clip, static_cast<float>(1.0 / (4.0 + 1e-6)));
  step_decide(c, 0.25);
  EXPECT_FLOAT_EQ(c.clip, 1.0f);
  c.max_norm = 0;
  step_decide(c, 1e10);
  EXPECT_FLOAT_EQ(c.clip, 1.0f) << "0 means no clipping";
}

TEST(StepDecide, skips_and_counts_what_is_not_finite) {
  const double inf = std::numeric_limits<double>::infinity(),
               nan = std::numeric_limits<double>::quiet_NaN();
  StepControl c;
  step_decide(c, 1.0);
  EXPECT_EQ(c.applied, 1);
  step_decide(c, inf);
  step_decide(c, nan);
  c.loss = nan;
  step_decide(c, 1.0);
  EXPECT_EQ(c.applied, 1);
  EXPECT_EQ(c.skipped_in_a_row, 3);
  EXPECT_EQ(c.skip, 1);
  c.loss = 2;
  step_decide(c, 1.0);
  EXPECT_EQ(c.applied, 2);
  EXPECT_EQ(c.skipped_in_a_row, 0);
}

TEST(StepDecide, counts_a_gradient_whose_squares_fp32_cannot_hold_as_infinite) {
  StepControl c;
  step_decide(c, 0.99e38);
  EXPECT_EQ(c.skip, 0);
  step_decide(c, 1.01e38);
  EXPECT_EQ(c.skip, 1);
  EXPECT_TRUE(std::isinf(c.norm));
}

TEST(StepDecide, updates_nothing_once_there_is_a_fault) {
  StepControl c;
  step_decide(c, 1.0);
  c.fault = static_cast<int32_t>(StepFault::scaled_loss);
  for (int i = 0; i < 2; ++i) {
    step_decide(c, 1.0);
    EXPECT_EQ(c.skip, 1);
    EXPECT_EQ(c.applied, 1);
    EXPECT_EQ(c.skipped_in_a_row, 0) << "the run ends: no policy counts it";
  }
  EXPECT_NE(std::string(text_of(StepFault::scaled_loss).what).find("weights"), std::string::npos);
}

TEST(Tiles, cover_every_range_and_none_twice) {
  const auto tiles = tiles_of(std::vector<int64_t>{10, 0, 8, 1}, 4);
  const std::vector<std::pair<int, int>> expected{{0, 0}, {0, 1}, {0, 2}, {2, 0}, {2, 1}, {3, 0}};
  ASSERT_EQ(tiles.size(), expected.size());
  for (size_t i = 0; i < tiles.size(); ++i) {
    EXPECT_EQ(tiles[i].range, expected[i].first);
    EXPECT_EQ(tiles[i].index, expected[i].second);
  }
}

}  // namespace
}  // namespace lmms::kernels
