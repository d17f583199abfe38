#include "models/qwen_vl/rope_index.h"

#include <gmock/gmock.h>

#include "core/error.h"

namespace lmms::models::qwen_vl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int32_t kImage = 1, kVideo = 2;
const RopeIndexConfig kConfig{kImage, kVideo, 2, 2};

std::string fault(const std::vector<int32_t>& ids, const std::vector<RopeMedia>& media) {
  try {
    rope_index(ids, media, kConfig, "chats.jsonl:7");
  } catch (const Error& e) {
    return e.what();
  }
  return "fine";
}

TEST(RopeIndex, lays_an_image_on_its_grid_and_goes_on_behind_its_longer_side) {
  const RopePositions p = rope_index(std::vector<int32_t>{9, 1, 1, 1, 9, 9},
                                     std::vector<RopeMedia>{{{1, 2, 6}}}, kConfig, "");
  EXPECT_THAT(p[0], ElementsAre(0, 1, 1, 1, 4, 5));
  EXPECT_THAT(p[1], ElementsAre(0, 1, 1, 1, 4, 5));
  EXPECT_THAT(p[2], ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(next_position(p), 6);
}

TEST(RopeIndex, counts_the_time_of_a_video_in_whole_seconds) {
  const std::vector<int32_t> ids{2, 2, 2, 9};
  const auto time = [&](double seconds) {
    return rope_index(ids, std::vector<RopeMedia>{{{3, 2, 2}, true, seconds}}, kConfig, "")[0];
  };
  EXPECT_THAT(time(1.9), ElementsAre(0, 2, 4, 1));
  EXPECT_THAT(time(3), ElementsAre(0, 6, 12, 1));
  EXPECT_THAT(time(0.5), ElementsAre(0, 0, 0, 1));
  EXPECT_EQ(
      next_position(rope_index(ids, std::vector<RopeMedia>{{{3, 2, 2}, true, 3}}, kConfig, "")),
      13);
}

TEST(RopeIndex, tells_images_apart_that_touch) {
  const RopePositions p = rope_index(std::vector<int32_t>{1, 1, 1},
                                     std::vector<RopeMedia>{{{1, 2, 2}}, {{1, 4, 2}}}, kConfig, "");
  EXPECT_THAT(p[1], ElementsAre(0, 1, 2));
  EXPECT_THAT(p[2], ElementsAre(0, 1, 1));
}

TEST(RopeIndex, lays_every_frame_like_an_image_where_frames_stand_apart) {
  RopeIndexConfig config = kConfig;
  config.frames_apart = true;
  const std::vector<RopeMedia> media{{{2, 2, 4}, true, 5}, {{1, 2, 2}}};
  const RopePositions p =
      rope_index(std::vector<int32_t>{9, 2, 2, 9, 2, 2, 1, 9}, media, config, "");
  EXPECT_THAT(p[0], ElementsAre(0, 1, 1, 3, 4, 4, 6, 7));
  EXPECT_THAT(p[2], ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  const auto fault = [&](std::vector<int32_t> ids) {
    EXPECT_THROW(rope_index(ids, media, config, ""), Error);
  };
  fault({2, 2, 9});
  fault({2, 2, 1, 2, 2});
  fault({2, 2, 2, 9, 1});
  fault({2, 2, 2, 2, 2, 2, 1});
}

TEST(RopeIndex, of_nothing_is_nothing) {
  const RopePositions p = rope_index({}, {}, kConfig, "");
  EXPECT_TRUE(p[0].empty() && p[1].empty() && p[2].empty());
  EXPECT_EQ(next_position(p), 0);
}

TEST(RopeIndex, says_where_pads_and_media_do_not_fit) {
  EXPECT_THAT(fault({9, 1}, {}), HasSubstr("chats.jsonl:7: token 1 is the pad of image 1"));
  EXPECT_THAT(fault({9}, {{{1, 2, 2}}}), HasSubstr("1 images and videos, and pad tokens for 0"));
  EXPECT_THAT(fault({1, 9}, {{{1, 4, 4}}}), HasSubstr("image 1 makes 4 tokens, and 1 pad tokens"));
  EXPECT_THAT(fault({1, 1}, {{{1, 2, 2}}}), HasSubstr("the sample has no more media"));
  EXPECT_THAT(fault({2}, {{{1, 2, 2}}}), HasSubstr("that is an image"));
  EXPECT_THAT(fault({1}, {{{1, 2, 2}, true}}), HasSubstr("that is a video"));
}

TEST(RopeIndex, refuses_grids_that_no_image_has) {
  for (const PatchGrid& g : {PatchGrid{1, 3, 2}, PatchGrid{0, 2, 2}, PatchGrid{1, -2, 2},
                             PatchGrid{int64_t{1} << 60, 2, 2}})
    EXPECT_THAT(fault({1}, {{g}}), HasSubstr("makes no grid of 2 x 2 blocks"));
  EXPECT_THAT(fault({1}, {{{1 << 19, 1 << 19, 1 << 19}}}), HasSubstr("pad tokens stand for it"));
  EXPECT_THAT(fault({2}, {{{1, 2, 2}, true, 1e300}}), HasSubstr("makes no grid"));
}

}  // namespace
}  // namespace lmms::models::qwen_vl
