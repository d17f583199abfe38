#include "media/video_patches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "media/clips_testing.h"
#include "media/images_testing.h"
#include "media/resize_float.h"
#include "media/videos_testing.h"

namespace lmms::media {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::qwen2_vl_clip;
using testing::qwen3_vl_clip;
using testing::video_cases;

uint32_t crc(std::span<const float> values) {
  return testing::crc({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
}

std::vector<Image> frames_of(const json& c) {
  const std::string bytes = testing::video_file(c["file"]);
  return decode_frames(testing::bytes(bytes), c["numbers"].get<std::vector<int64_t>>()).take();
}

ClipOptions options_of(const json& c) {
  ClipOptions options = c["model"] == "qwen2" ? qwen2_vl_clip() : qwen3_vl_clip();
  options.patches.min_pixels = c["limits"][0];
  options.patches.max_pixels = c["limits"][1];
  if (c["way"] == "loader")
    options.loader = FrameLimits{.min_pixels = c["loader"][0], .max_pixels = c["loader"][1]};
  return options;
}

TEST(VideoPatchesParity, values_equal_both_ways_of_both_families_bit_for_bit) {
  int resized_twice = 0;
  for (const json& c : video_cases().at("patches")) {
    SCOPED_TRACE(c.dump());
    const std::vector<Image> frames = frames_of(c);
    const ClipOptions options = options_of(c);
    const Extent size{frames[0].height(), frames[0].width()};
    const ClipPlan plan = plan_clip(size, int64_t(frames.size()), options).take();
    EXPECT_EQ(json({plan.grid.t, plan.grid.h, plan.grid.w}), c["grid"]);
    ASSERT_EQ(json({plan.grid.patches(), patch_values(options.patches)}), c["shape"]);
    const Extent last{int(plan.grid.h) * options.patches.patch,
                      int(plan.grid.w) * options.patches.patch};
    resized_twice += options.loader && !(last == plan.loaded);
    std::vector<float> values(size_t(plan.grid.patches() * patch_values(options.patches)));
    write_video_patches(frames, plan, options, values);
    for (size_t i = 0; i < c["first"].size(); ++i)
      EXPECT_EQ(values[i], c["first"][i].get<float>()) << i;
    EXPECT_EQ(crc(values), c["crc"].get<uint32_t>());
  }
  EXPECT_GT(resized_twice, 5);
}

TEST(VideoPatchesParity, sizes_of_clips_are_those_of_qwen3_vl) {
  for (const json& c : video_cases().at("clip_extent")) {
    SCOPED_TRACE(c.dump());
    ClipOptions options = qwen3_vl_clip();
    options.patches.min_pixels = c[3];
    options.patches.max_pixels = c[4];
    const Result<ClipPlan> plan = plan_clip({c[0], c[1]}, c[2], options);
    ASSERT_EQ(plan.ok(), !c[5].is_null());
    if (!plan.ok()) continue;
    EXPECT_EQ(json({plan->grid.h * 16, plan->grid.w * 16}), json({c[5], c[6]}));
  }
}

TEST(VideoPatches, a_last_frame_alone_fills_its_step_of_time) {
  Image frame(28, 28);
  for (size_t i = 0; i < frame.pixels().size(); ++i) frame.pixels()[i] = uint8_t(i * 31);
  ClipOptions options = qwen2_vl_clip();
  options.patches.min_pixels = 784;
  const ClipPlan plan = plan_clip({28, 28}, 1, options).take();
  EXPECT_EQ(plan.grid, (PatchGrid{1, 2, 2}));
  std::vector<float> video(size_t(4 * patch_values(options.patches))), image = video;
  write_clip_frame(frame, 0, plan, options, video);
  write_patches(frame, {1, 2, 2}, options.patches, image);
  EXPECT_EQ(video, image);
}

TEST(VideoPatches, one_frame_of_qwen3_vl_counts_as_a_pair) {
  EXPECT_EQ(plan_clip({480, 640}, 1, qwen3_vl_clip()).take().grid,
            plan_clip({480, 640}, 2, qwen3_vl_clip()).take().grid);
}

TEST(VideoPatches, a_frame_outside_of_the_plan_is_our_own_mistake_and_throws) {
  ClipOptions options = qwen2_vl_clip();
  const ClipPlan plan = plan_clip({480, 640}, 3, options).take();
  std::vector<float> values(size_t(plan.grid.patches() * patch_values(options.patches)));
  EXPECT_THROW(write_clip_frame(Image(8, 8), 3, plan, options, values), Error);
  values.pop_back();
  EXPECT_THROW(write_clip_frame(Image(8, 8), 0, plan, options, values), Error);
  EXPECT_THROW(write_video_patches({}, plan, options, values), Error);
}

TEST(VideoPatches, sides_in_a_ratio_above_200_are_a_fault) {
  EXPECT_THAT(plan_clip({40, 9000}, 4, qwen2_vl_clip()).fault().text(), HasSubstr("above 200"));
  EXPECT_THAT(plan_clip({40, 9000}, 4, qwen3_vl_clip()).fault().text(), HasSubstr("above 200"));
}

}  // namespace
}  // namespace lmms::media
