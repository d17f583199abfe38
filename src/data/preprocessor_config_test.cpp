// What a checkpoint says of its images, and what a damaged file does not.
#include "data/preprocessor_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lmms::data {
namespace {

using testing::HasSubstr;

TEST(PatchOptions, come_from_a_preprocessor_config_of_either_form) {
  const auto options =
      patch_options_of(
          nlohmann::json::parse(R"({"patch_size": 16, "merge_size": 2, "min_pixels": 3136,
          "max_pixels": 12845056, "image_mean": [0.5, 0.4, 0.3], "resample": 3})"),
          "p.json")
          .take();
  EXPECT_EQ(options.patch, 16);
  EXPECT_EQ(options.min_pixels, 3136);
  EXPECT_EQ(options.max_pixels, 12845056);
  EXPECT_EQ(options.normalisation.mean[2], 0.3);
  const auto edges =
      patch_options_of(
          nlohmann::json::parse(R"({"size": {"shortest_edge": 784, "longest_edge": 7840}})"),
          "p.json")
          .take();
  EXPECT_EQ(edges.min_pixels, 784);
  EXPECT_EQ(edges.max_pixels, 7840);
}

TEST(PatchOptions, of_a_damaged_file_are_a_fault_with_the_key) {
  for (const char* bad :
       {R"({"patch_size": "x"})", R"({"patch_size": -1})", R"({"patch_size": 1e300})",
        R"({"image_mean": [1]})", R"({"size": {"longest_edge": []}})", R"({"do_resize": false})",
        R"({"resample": 9})"}) {
    const auto made = patch_options_of(nlohmann::json::parse(bad), "p.json");
    ASSERT_FALSE(made.ok()) << bad;
    EXPECT_THAT(made.fault().text(), HasSubstr("p.json")) << bad;
  }
}

}  // namespace
}  // namespace lmms::data
