// Which file and which class says how media are prepared.
#include "data/processor_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/processor_members.h"

namespace lmms::data {
namespace {

using nlohmann::json;
using testing::HasSubstr;

ProcessorSection section(const json& values) {
  return {values, "p.json"};
}

TEST(ProcessorFiles, name_what_is_no_section_and_no_class) {
  const auto images = [](const json& processor) {
    return image_section(
        {.folder = "f", .processor = processor, .images = nullptr, .videos = nullptr});
  };
  EXPECT_THAT(images({{"image_processor", "Qwen2VLImageProcessor"}}).fault().text(),
              HasSubstr("f/processor_config.json: image_processor: expected an object"));
  const ProcessorSection clip = {{{"image_processor_type", "CLIPImageProcessor"}}, "f/p.json"};
  EXPECT_EQ(check_image_class(clip, "Qwen2VLImageProcessor")->text(),
            "f/p.json: image_processor_type: the model's images are prepared by "
            "Qwen2VLImageProcessor, not by CLIPImageProcessor\n"
            "    fix: use the processor that belongs to the model");
}

TEST(ProcessorFiles, that_name_a_processor_of_images_name_that_of_videos_of_the_same_name) {
  constexpr std::string_view kClasses[] = {"Qwen2VLVideoProcessor", "Qwen3VLVideoProcessor"};
  const auto of = [&](const json& values) {
    return video_class({values, "f/p.json"}, "Qwen3VLVideoProcessor", kClasses);
  };
  EXPECT_EQ(of(nullptr), "Qwen3VLVideoProcessor");
  EXPECT_EQ(of({{"video_processor_type", "XVideoProcessor"}}), "XVideoProcessor");
  EXPECT_EQ(of({{"image_processor_type", "Qwen2VLImageProcessor"}}), "Qwen2VLVideoProcessor");
  EXPECT_EQ(of({{"image_processor_type", "SiglipImageProcessor"}}), "Qwen3VLVideoProcessor");
}

TEST(UnreadLimits, are_named) {
  EXPECT_EQ(unread_limits(section(nullptr)), "");
  EXPECT_EQ(unread_limits(section({{"max_pixels", nullptr}, {"size", 3}})), "");
  EXPECT_EQ(unread_limits(section({{"max_pixels", 5}, {"min_pixels", 3}})),
            "min_pixels, max_pixels");
}

}  // namespace
}  // namespace lmms::data
