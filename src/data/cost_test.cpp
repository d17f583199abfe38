#include "data/cost.h"

#include <gtest/gtest.h>

#include <array>

namespace lmms::data {
namespace {

TEST(CostModel, without_a_model_counts_query_key_pairs) {
  const std::array grids{PatchGrid{1, 4, 6}, PatchGrid{3, 2, 2}};
  EXPECT_EQ(CostModel{}.cost(10, 5, {}), 100);
  EXPECT_EQ(CostModel{}.cost(10, 5, grids), 100 + 24 * 24 + 3 * 4 * 4);
}

TEST(CostModel, is_a_polynomial_of_tokens_targets_and_patches) {
  const CostModel costs{.token = 10, .pair = 0.5, .target = 100, .patch = 7, .patch_pair = 0.25};
  const std::array video{PatchGrid{2, 2, 2}};
  EXPECT_EQ(costs.cost(4, 3, video), 40 + 8 + 300 + 2 * (28 + 4));
}

TEST(CostModel, keeps_sums_of_absurd_sizes_inside_a_number) {
  const std::array grids{PatchGrid{1 << 20, 1 << 20, 1 << 20}};
  EXPECT_EQ(CostModel{}.cost(int64_t{1} << 40, 0, grids), 1'000'000'000'000'000);
}

}  // namespace
}  // namespace lmms::data
