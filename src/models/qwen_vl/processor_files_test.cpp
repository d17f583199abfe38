// What a checkpoint says of its images and videos, against transformers
// (tests/parity/make_processors.py), and what a damaged file does not.
#include "models/qwen_vl/processor_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/processor_files_testing.h"

namespace lmms::models::qwen_vl {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// Sizes and clips of make_processors.py.
constexpr media::Extent kSizes[] = {{300, 400}, {40, 1000}, {33, 29}, {1100, 900}};
struct Clip {
  int64_t frames;
  media::Extent size;
};
constexpr Clip kClips[] = {{4, {120, 160}}, {5, {240, 320}}, {12, {100, 60}}, {2, {400, 300}}};

/// What transformers takes and we refuse by name.
const std::set<std::string> kRefused = {"lanczos image",        "lanczos video",
                                        "grey mean image",      "grey mean video",
                                        "do not rescale image", "do not rescale video"};

json grid(const Result<PatchGrid>& grid) {
  return grid ? json{grid->t, grid->h, grid->w} : json(grid.fault().text());
}

/// In the words of make_processors.py.
json described(const media::PatchOptions& p, json grids, std::string_view name) {
  json out = models::described(p.normalisation, p.filter, name);
  out["limits"] = {p.min_pixels, p.max_pixels};
  out["patch"] = p.patch;
  out["merge"] = p.merge;
  out["temporal"] = p.temporal;
  out["grids"] = std::move(grids);
  return out;
}

Result<json> images_of(const json& c) {
  const auto section = data::image_section(files_of(c));
  if (!section) return section.fault();
  if (!section->is_given()) return Fault{"f", "no file", ""};
  const auto patches = patch_options_of(*section);
  if (!patches) return patches.fault();
  json grids;
  for (const media::Extent size : kSizes) grids.push_back(grid(media::patch_grid(size, *patches)));
  return described(*patches, grids, kImageClass);
}

Result<json> videos_of(const json& c) {
  const std::string_view of_model =
      c["model_type"] == "qwen3_vl" ? kQwen3VideoClass : kQwen2VideoClass;
  const auto section = data::video_section(files_of(c));
  if (!section) return section.fault();
  if (!section->is_given()) return Fault{"f", "no file", ""};
  const std::string name = data::video_class(*section, of_model, kVideoClasses);
  const auto clip = clip_options_of(*section, of_model);
  if (!clip) return clip.fault();
  json grids;
  for (const auto& [frames, size] : kClips) {
    const auto plan = media::plan_clip(size, frames, *clip);
    grids.push_back(plan ? grid(plan->grid) : json(plan.fault().text()));
  }
  return described(clip->patches, grids, name);
}

TEST(QwenProcessorFiles, give_what_transformers_makes_of_them) {
  const StoredCases seen = compare_stored(
      [](const std::string& type) { return type == "qwen2_5_vl" || type == "qwen3_vl"; }, kRefused,
      images_of, videos_of);
  EXPECT_EQ(seen.equal, 90u);
  EXPECT_EQ(seen.refused, 66u);
}

data::ProcessorSection section(const json& values) {
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

}  // namespace
}  // namespace lmms::models::qwen_vl
