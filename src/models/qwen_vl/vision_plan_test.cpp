#include "models/qwen_vl/vision_plan.h"

#include <gmock/gmock.h>

#include <numeric>

namespace lmms::models::qwen_vl {
namespace {

using ::testing::ElementsAre;

TEST(VisionPlan, walks_windows_row_by_row_and_cuts_them_at_the_border) {
  // 3 x 5 tokens in windows of 2 x 2: numbers are tokens
  //   0  1 |  2  3 |  4
  //   5  6 |  7  8 |  9
  //  10 11 | 12 13 | 14
  const PatchGrid grid{1, 6, 10};
  const VisionPlan plan = vision_plan({&grid, 1}, 2, 2);
  EXPECT_THAT(plan.tokens, ElementsAre(0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14));
  EXPECT_THAT(plan.windows, ElementsAre(16, 16, 8, 8, 8, 4));
  EXPECT_THAT(plan.frames, ElementsAre(60));
}

TEST(VisionPlan, keeps_the_patches_of_a_token_together_with_their_places_in_the_image) {
  const PatchGrid grid{1, 4, 4};
  const VisionPlan plan = vision_plan({&grid, 1}, 2, 1);
  EXPECT_THAT(plan.rows, ElementsAre(0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3));
  EXPECT_THAT(plan.columns, ElementsAre(0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3));
}

TEST(VisionPlan, is_a_permutation_that_never_leaves_a_frame) {
  const std::vector<PatchGrid> grids{{1, 6, 10}, {3, 4, 2}, {1, 2, 2}, {2, 8, 12}};
  const VisionPlan plan = vision_plan(grids, 2, 3);
  std::vector<int64_t> sorted = plan.patches, all(sorted.size());
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sorted, all);
  for (size_t m = 0; m < plan.tokens.size(); ++m)
    EXPECT_EQ(plan.places[static_cast<size_t>(plan.tokens[m])], static_cast<int64_t>(m));
  int64_t begin = 0;
  for (int64_t length : plan.frames) {
    for (int64_t p = begin; p < begin + length; ++p) {
      EXPECT_GE(plan.patches[static_cast<size_t>(p)], begin);
      EXPECT_LT(plan.patches[static_cast<size_t>(p)], begin + length);
    }
    begin += length;
  }
  EXPECT_EQ(std::accumulate(plan.windows.begin(), plan.windows.end(), int64_t{0}), begin);
}

TEST(PositionTaps, put_corners_on_corners_and_share_between_neighbours) {
  const PatchGrid grid{1, 2, 6};
  const PositionTaps taps = position_taps(vision_plan({&grid, 1}, 2, 9), {&grid, 1}, 4);
  // the first patch is the first entry; the fourth (row 1, column 1) lies at (3, 0.6)
  EXPECT_EQ(taps.entries[0], 0);
  EXPECT_EQ(taps.weights[0], 1.0f);
  EXPECT_THAT(std::vector<int64_t>(taps.entries.begin() + 12, taps.entries.begin() + 16),
              ElementsAre(12, 13, 12, 13));
  EXPECT_FLOAT_EQ(taps.weights[12], 0.4f);
  EXPECT_FLOAT_EQ(taps.weights[13], 0.6f);
  EXPECT_EQ(taps.entries[4 * 11], 15);
  for (int64_t entry : taps.entries) EXPECT_LT(entry, 16);
}

TEST(PositionTaps, of_one_row_lie_in_the_first) {
  const PatchGrid grid{1, 1, 1};
  const PositionTaps taps = position_taps(vision_plan({&grid, 1}, 1, 9), {&grid, 1}, 1);
  EXPECT_THAT(taps.entries, ElementsAre(0, 0, 0, 0));
  EXPECT_EQ(taps.weights[0], 1.0f);
}

TEST(VisionPlan, of_nothing_is_empty) {
  const VisionPlan plan = vision_plan({}, 2, 4);
  EXPECT_TRUE(plan.patches.empty() && plan.windows.empty() && plan.frames.empty());
}

}  // namespace
}  // namespace lmms::models::qwen_vl
