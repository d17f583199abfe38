#include "media/video_sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "media/images_testing.h"
#include "media/videos_testing.h"

namespace lmms::media {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::video_cases;

VideoInfo film(int64_t frames, double fps) {
  return {.width = 64, .height = 48, .frames = frames, .fps = fps, .seconds = double(frames) / fps};
}

std::vector<int64_t> chosen(int64_t frames, double fps, const SamplingOptions& options) {
  return choose_frames(film(frames, fps), options).take().indices;
}

TEST(SamplingParity, indices_and_rates_equal_qwen_vl_utils) {
  int compared = 0;
  for (const json& c : video_cases().at("choice")) {
    SCOPED_TRACE(c.dump());
    SamplingOptions options{.max_frames = c[4]};
    if (c[2] == "fps") {
      options.fps = c[3];
    } else {
      options.strategy = Sampling::frame_count;
      options.frame_count = c[3];
    }
    if (!c[5].is_null()) options.start = c[5];
    if (!c[6].is_null()) options.end = c[6];
    const Result<FrameChoice> choice = choose_frames(film(c[0], c[1]), options);
    if (c[7].is_null()) continue;  // qwen_vl_utils raises; see the tests below
    ASSERT_TRUE(choice.ok()) << choice.fault().text();
    ASSERT_EQ(choice->indices.size(), c[7].get<size_t>());
    std::vector<int32_t> indices(choice->indices.begin(), choice->indices.end());
    EXPECT_EQ(testing::crc({reinterpret_cast<const uint8_t*>(indices.data()), 4 * indices.size()}),
              c[8].get<uint32_t>());
    EXPECT_DOUBLE_EQ(choice->sample_fps, c[9].get<double>());
    ++compared;
  }
  EXPECT_GT(compared, 300);
}

TEST(SamplingParity, sizes_of_frames_equal_qwen_vl_utils) {
  for (const json& c : video_cases().at("extent")) {
    SCOPED_TRACE(c.dump());
    const Extent size =
        loader_extent({c[0], c[1]}, c[2], c[3], {.min_pixels = c[4], .max_pixels = c[5]}).take();
    EXPECT_EQ(json({size.height, size.width}), json({c[6], c[7]}));
  }
}

TEST(SamplingParity, timestamps_equal_qwen3_vl) {
  for (const json& c : video_cases().at("timestamps"))
    EXPECT_EQ(json(timestamps(c[1].get<std::vector<int64_t>>(), c[0])), c[2]) << c.dump();
}

TEST(Sampling, a_film_of_one_frame_gives_that_frame) {
  EXPECT_THAT(chosen(1, 25, {}), ElementsAre(0));
  EXPECT_THAT(chosen(1, 25, {.strategy = Sampling::frame_count, .frame_count = 8}), ElementsAre(0));
}

TEST(Sampling, fractions_of_a_frame_each_second_are_possible) {
  EXPECT_THAT(chosen(240, 24, {.fps = 0.4}), ElementsAre(0, 80, 159, 239));
  EXPECT_EQ(chosen(240, 24, {.fps = 1.5}).size(), 14u);
}

TEST(Sampling, a_film_shorter_than_frame_count_gives_an_even_number_of_its_frames) {
  EXPECT_THAT(chosen(5, 25, {.strategy = Sampling::frame_count, .frame_count = 64}),
              ElementsAre(0, 1, 3, 4));
}

TEST(Sampling, a_part_without_frames_is_a_fault_that_names_the_film) {
  EXPECT_THAT(choose_frames(film(50, 25), {.start = 3.0, .end = 4.0}).fault().text(),
              HasSubstr("it has 50 frames in 2.00 seconds"));
  EXPECT_THAT(choose_frames(film(50, 25), {.start = 1.5, .end = 0.5}).fault().text(),
              HasSubstr("correct video_start and video_end"));
  EXPECT_THAT(chosen(50, 25, {.start = 1.0, .end = 1.0}), ElementsAre(25));
}

TEST(Sampling, limits_that_contradict_each_other_are_a_fault) {
  EXPECT_THAT(
      loader_extent({480, 640}, 8, 28, {.min_pixels = 9000, .max_pixels = 3000}).fault().text(),
      HasSubstr("video_max_pixels 3000 is less than video_min_pixels 9000"));
}

}  // namespace
}  // namespace lmms::media
