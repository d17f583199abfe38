// What a checkpoint says of its images and videos, and what a damaged file does not.
#include "data/preprocessor_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms::data {
namespace {

using nlohmann::json;
using testing::HasSubstr;

ProcessorSection section(const json& values) {
  return {values, "p.json"};
}

template <class T>
std::string text_of(const Result<T>& made) {
  return made ? "made" : made.fault().text();
}

TEST(PatchOptions, have_the_limits_of_size_and_over_them_those_of_their_own_keys) {
  const auto limits = [](const char* text) {
    const auto options = patch_options_of(section(json::parse(text))).take();
    return std::pair(options.min_pixels, options.max_pixels);
  };
  EXPECT_EQ(limits("{}"), std::pair(int64_t{3136}, int64_t{1003520}));
  EXPECT_EQ(limits(R"({"size": {"shortest_edge": 784, "longest_edge": 7840}})"),
            std::pair(int64_t{784}, int64_t{7840}));
  EXPECT_EQ(limits(R"({"size": {"shortest_edge": 784, "longest_edge": 7840}, "max_pixels": 1568})"),
            std::pair(int64_t{784}, int64_t{1568}));
  EXPECT_EQ(limits(R"({"max_pixels": 1568.0})"), std::pair(int64_t{3136}, int64_t{1568}));
}

TEST(PatchOptions, of_a_damaged_file_are_a_fault_with_the_key) {
  for (const char* bad : {R"({"patch_size": "x"})",
                          R"({"patch_size": -1})",
                          R"({"patch_size": 1e300})",
                          R"({"patch_size": 14.5})",
                          R"({"patch_size": null})",
                          R"({"max_pixels": "NaN"})",
                          R"({"max_pixels": 0})",
                          R"({"max_pixels": 0.5})",
                          R"({"image_mean": [1]})",
                          R"({"image_std": [1, 0, 1]})",
                          R"({"rescale_factor": 0})",
                          R"({"do_resize": false})",
                          R"({"do_normalize": "yes"})",
                          R"({"resample": 9})",
                          R"({"resample": "bicubic"})",
                          R"({"size": {"longest_edge": []}})",
                          R"({"size": {"longest_edge": 784}})",
                          R"({"size": 3})",
                          R"({"size": {"longest_edge": 1e13, "shortest_edge": 1}})",
                          R"({"size": {}})"}) {
    const json values = json::parse(bad);
    const std::string where = "p.json: " + values.begin().key() + ": ";
    EXPECT_THAT(text_of(patch_options_of(section(values))), HasSubstr(where)) << bad;
    EXPECT_THAT(text_of(clip_options_of(section(values), kQwen2VideoClass)), HasSubstr(where))
        << bad;
  }
}

TEST(ClipOptions, name_a_class_that_is_not_built) {
  EXPECT_THAT(text_of(clip_options_of(section({{"video_processor_type", "Glm4vVideoProcessor"}}),
                                      kQwen3VideoClass)),
              HasSubstr("p.json: video_processor_type: 'Glm4vVideoProcessor' is not built"));
  EXPECT_THAT(text_of(clip_options_of(section({{"video_processor_type", 3}}), kQwen3VideoClass)),
              HasSubstr("'3' is not built"));
}

TEST(UnreadLimits, are_named) {
  EXPECT_EQ(unread_limits(section(nullptr)), "");
  EXPECT_EQ(unread_limits(section({{"max_pixels", nullptr}, {"size", 3}})), "");
  EXPECT_EQ(unread_limits(section({{"max_pixels", 5}, {"min_pixels", 3}})),
            "min_pixels, max_pixels");
}

TEST(TileOptions, come_from_the_file_of_a_checkpoint_which_names_what_cannot_be) {
  media::TileOptions usual;
  usual.patch = 14;
  const media::TileOptions none = tile_options_of(section(nullptr), usual).take();
  EXPECT_EQ(none.tile, 384);
  EXPECT_EQ(none.features_per_side, 27);
  const media::TileOptions small =
      tile_options_of(section({{"size", {{"height", 56}, {"width", 56}}}, {"resample", 2}}), usual)
          .take();
  EXPECT_EQ(small.tile, 56);
  EXPECT_EQ(small.features_per_side, 4);
  EXPECT_EQ(small.filter, media::Filter::bilinear);
  const auto fault = [&](const json& values) {
    return text_of(tile_options_of(section(values), usual));
  };
  EXPECT_THAT(fault({{"size", {{"height", 384}, {"width", 200}}}}),
              HasSubstr("p.json: size: expected a square"));
  EXPECT_THAT(fault({{"size", {{"height", -1}}}}), HasSubstr("p.json: size"));
  EXPECT_THAT(fault({{"size", {{"shortest_edge", 384}, {"longest_edge", 768}}}}),
              HasSubstr("p.json: size"));
  EXPECT_THAT(fault({{"size", "large"}}), HasSubstr("p.json: size"));
  EXPECT_THAT(fault({{"crop_size", {{"height", 14}, {"width", 14}}}}),
              HasSubstr("p.json: crop_size: not built yet: another than size, 384"));
  EXPECT_THAT(fault({{"do_center_crop", true}}), HasSubstr("p.json: do_center_crop"));
  const auto pinpoints = json::array({json::array({384, 400})});
  EXPECT_THAT(fault({{"image_grid_pinpoints", pinpoints}}),
              HasSubstr("p.json: image_grid_pinpoints: expected [height, width] of whole tiles"));
  EXPECT_THAT(fault({{"image_grid_pinpoints", 3}}), HasSubstr("p.json: image_grid_pinpoints"));
  EXPECT_THAT(fault({{"image_grid_pinpoints", json::array()}}),
              HasSubstr("p.json: image_grid_pinpoints: expected a list"));
  EXPECT_THAT(fault({{"image_mean", "x"}}), HasSubstr("p.json: image_mean"));
  EXPECT_THAT(text_of(frame_options_of(section({{"video_processor_type", "X"}}), usual)),
              HasSubstr("LlavaOnevisionVideoProcessor, not by X"));
}

TEST(LlavaProcessor, must_count_the_tokens_that_the_model_counts) {
  media::TileOptions tiles;
  tiles.features_per_side = 7;
  tiles.most_tiles = 4;
  const auto fault = [&](const json& values) {
    const ProcessorFiles files{
        .folder = "f", .processor = values, .images = nullptr, .videos = nullptr};
    const auto found = check_llava_processor(files, tiles);
    return found ? found->text() : "none";
  };
  EXPECT_EQ(fault(nullptr), "none");
  EXPECT_EQ(fault({{"num_image_tokens", nullptr}, {"processor_class", "X"}}), "none");
  EXPECT_EQ(fault({{"num_image_tokens", 49},
                   {"vision_feature_select_strategy", "full"},
                   {"vision_aspect_ratio", "anyres_max_4"}}),
            "none");
  EXPECT_EQ(fault({{"num_image_tokens", 50}}),
            "f/processor_config.json: num_image_tokens: 50 is not the model's, 49");
  EXPECT_THAT(fault({{"vision_feature_select_strategy", "default"}}), HasSubstr("\"full\""));
  EXPECT_THAT(fault({{"vision_aspect_ratio", "anyres_max_9"}}), HasSubstr("\"anyres_max_4\""));
}

}  // namespace
}  // namespace lmms::data
