// Views of LLaVA-OneVision against transformers: tests/parity/make_images.py and make_videos.py.
#include "models/llava_onevision/tiles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "media/images_testing.h"
#include "media/video.h"
#include "media/videos_testing.h"

namespace lmms::models::llava_onevision {
namespace {

namespace stored = media::testing;
using media::Extent;
using media::Image;
using nlohmann::json;
using ::testing::HasSubstr;

using stored::cases;
using stored::count;
using stored::expect_equal;
using stored::image_of;

void expect_tiles(const Image& image, const json& c) {
  TileOptions options{.tile = c["tile"]};
  const int most = c["most"];
  for (int rows = 1; rows <= most; ++rows)
    for (int columns = 1; columns <= most; ++columns)
      options.pinpoints.push_back({rows * options.tile, columns * options.tile});
  const Tiling tiling = plan_tiles(Extent{image.height(), image.width()}, options).take();
  EXPECT_EQ(tiling.tokens, c["tokens"].get<int64_t>());
  ASSERT_EQ(json({tiling.tiles(), 3, options.tile, options.tile}), c["shape"]);
  std::vector<float> values(count(c["shape"]));
  write_tiles(image, tiling, options, values);
  expect_equal(values, c);
}

TEST(TilesParity, values_and_tokens_equal_llava_onevision_bit_for_bit) {
  for (const json& c : cases("tiles")) {
    SCOPED_TRACE(c.dump());
    expect_tiles(image_of(c), c);
  }
}

TEST(TilesParity, two_hundred_images_equal_its_image_processor_bit_for_bit) {
  ASSERT_GE(stored::odd_sizes().size(), 200u);
  for (const json& c : stored::odd_sizes()) {
    SCOPED_TRACE(c.dump());
    const Image image = stored::drawn(c["width"], c["height"], c["kind"]);
    for (const json& made : c["tiles"]) expect_tiles(image, made);
  }
}

TEST(TilesParity, an_image_in_company_is_one_padded_square) {
  for (const json& c : cases("square")) {
    SCOPED_TRACE(c.dump());
    std::vector<float> values(count(c["shape"]));
    write_square(image_of(c), {.tile = c["tile"]}, values);
    expect_equal(values, c);
  }
}

TEST(FramesParity, equal_the_video_processor_of_llava_onevision) {
  const json& c = stored::video_cases().at("planes");
  const std::vector<Image> frames = [&] {
    const std::string bytes = stored::video_file(c["file"]);
    return media::decode_frames(stored::bytes(bytes), c["numbers"].get<std::vector<int64_t>>())
        .take();
  }();
  const TileOptions options{.tile = c["side"]};
  const size_t one = size_t(3 * options.tile * options.tile);
  std::vector<float> values(one * frames.size());
  for (size_t i = 0; i < frames.size(); ++i)
    write_view(frames[i], options, std::span(values).subspan(i * one, one));
  EXPECT_EQ(
      stored::crc({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)}),
      c["crc"].get<uint32_t>());
}

TEST(Tiles, pinpoints_that_are_no_whole_tiles_are_refused) {
  EXPECT_THAT(plan_tiles({100, 100}, {.tile = 384, .pinpoints = {{400, 400}}}).fault().text(),
              HasSubstr("correct image_grid_pinpoints"));
  EXPECT_EQ(plan_tiles({900, 700}, {}).take().best, (Extent{1152, 768}));
}

}  // namespace
}  // namespace lmms::models::llava_onevision
