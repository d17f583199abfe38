#include "data/cost.h"

#include <gtest/gtest.h>

namespace lmms::data {
namespace {

TEST(CostModel, without_a_model_counts_query_key_pairs) {
  const MediaList<MediaGrids> media{{kVision, {{1, 4, 6}}}, {"sound", {{3, 2, 2}}}};
  EXPECT_EQ(CostModel{}.cost(10, 5, {}), 100);
  EXPECT_EQ(CostModel{}.cost(10, 5, media), 100 + 24 * 24 + 3 * 4 * 4);
}

TEST(CostModel, is_a_polynomial_of_tokens_targets_and_patches) {
  const CostModel costs{.token = 10,
                        .pair = 0.5,
                        .target = 100,
                        .media = {{kVision, 7, 0.25}, {"sound", 2, 0}},
                        .other_media = {"", 1, 0}};
  const std::vector<PatchGrid> two_frames{{2, 2, 2}};
  EXPECT_EQ(costs.cost(4, 3, {{kVision, two_frames}}), 40 + 8 + 300 + 2 * (28 + 4));
  EXPECT_EQ(costs.cost(4, 3, {{"sound", two_frames}, {"smell", two_frames}}),
            40 + 8 + 300 + 2 * 8 + 8);
}

TEST(CostModel, keeps_sums_of_absurd_sizes_inside_a_number) {
  const MediaList<MediaGrids> media{{kVision, {{1 << 20, 1 << 20, 1 << 20}}}};
  EXPECT_EQ(CostModel{}.cost(int64_t{1} << 40, 0, media), 1'000'000'000'000'000);
}

}  // namespace
}  // namespace lmms::data
