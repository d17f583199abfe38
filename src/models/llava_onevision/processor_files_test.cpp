// What a checkpoint says of its images and videos, against transformers
// (tests/parity/make_processors.py), and what a damaged file does not.
#include "models/llava_onevision/processor_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/processor_files_testing.h"

namespace lmms::models::llava_onevision {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// What transformers takes and we refuse by name.
const std::set<std::string> kRefused = {"llava, crop image", "llava, crop video",
                                        "llava, two edges image", "llava, two edges video",
                                        "llava, another class image"};

Result<json> images_of(const json& c) {
  const auto section = data::image_section(files_of(c));
  if (!section) return section.fault();
  if (!section->is_given()) return Fault{"f", "no file", ""};
  const auto views = tile_options_of(*section, {});
  if (!views) return views.fault();
  json out = described(views->normalisation, views->filter, kImageClass);
  out["tile"] = views->tile;
  out["views"] = plan_tiles({50, 20}, *views).take().tiles();
  for (const auto& e : views->pinpoints) out["pinpoints"].push_back({e.height, e.width});
  return out;
}

Result<json> videos_of(const json& c) {
  const auto section = data::video_section(files_of(c));
  if (!section) return section.fault();
  if (!section->is_given()) return Fault{"f", "no file", ""};
  const std::string name = data::video_class(*section, kVideoClass, kVideoClasses);
  const auto views = frame_options_of(*section, {});
  if (!views) return views.fault();
  json out = described(views->normalisation, views->filter, name);
  out["tile"] = views->tile;
  return out;
}

TEST(LlavaProcessorFiles, give_what_transformers_makes_of_them) {
  const StoredCases seen =
      compare_stored([](const std::string& type) { return type == "llava_onevision"; }, kRefused,
                     images_of, videos_of);
  EXPECT_EQ(seen.equal, 24u);
  EXPECT_EQ(seen.refused, 10u);
}

data::ProcessorSection section(const json& values) {
  return {values, "p.json"};
}

template <class T>
std::string text_of(const Result<T>& made) {
  return made ? "made" : made.fault().text();
}

TEST(TileOptions, come_from_the_file_of_a_checkpoint_which_names_what_cannot_be) {
  TileOptions usual;
  usual.patch = 14;
  const TileOptions none = tile_options_of(section(nullptr), usual).take();
  EXPECT_EQ(none.tile, 384);
  EXPECT_EQ(none.features_per_side, 27);
  const TileOptions small =
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
  TileOptions tiles;
  tiles.features_per_side = 7;
  tiles.most_tiles = 4;
  const auto fault = [&](const json& values) {
    const data::ProcessorFiles files{
        .folder = "f", .processor = values, .images = nullptr, .videos = nullptr};
    const auto found = check_token_counts(files, tiles);
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
}  // namespace lmms::models::llava_onevision
