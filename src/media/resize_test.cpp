#include "media/resize.h"

#include <gtest/gtest.h>

#include <random>

#include "media/images_testing.h"
#include "media/resize_kernels.h"

namespace lmms::media {
namespace {

Image stored(const std::string& name) {
  const std::string text = testing::file(name);
  return decode(testing::bytes(text)).take();
}

TEST(ResizeParity, equals_torchvision_bit_for_bit) {
  ASSERT_FALSE(testing::cases().at("resize").empty());
  for (const auto& c : testing::cases().at("resize")) {
    SCOPED_TRACE(c.dump());
    const Image image = stored(c["file"]);
    const int width = c["width"], height = c["height"];
    EXPECT_EQ(testing::crc(resize(image, width, height, Filter::bicubic).pixels()),
              c["bicubic"].get<uint32_t>());
    EXPECT_EQ(testing::crc(resize(image, width, height, Filter::bilinear).pixels()),
              c["bilinear"].get<uint32_t>());
  }
}

TEST(ResizeParity, lanczos_on_one_axis_is_within_one_level_of_pillow) {
  for (const auto& c : testing::cases().at("lanczos")) {
    SCOPED_TRACE(c["file"]);
    const Image out = resize(stored(c["file"]), c["width"], c["height"], Filter::lanczos);
    ASSERT_EQ(out.pixels().size(), c["pixels"].size());
    for (size_t i = 0; i < out.pixels().size(); ++i)
      ASSERT_NEAR(out.pixels()[i], c["pixels"][i].get<int>(), 1) << i;
  }
}

TEST(Resize, an_image_at_its_own_size_is_the_image) {
  const Image image = stored("source_noise.png");
  EXPECT_EQ(testing::crc(resize(image, image.width(), image.height()).pixels()),
            testing::crc(image.pixels()));
}

TEST(Resize, an_even_area_stays_even_under_every_filter) {
  Image image(37, 23);
  std::fill(image.pixels().begin(), image.pixels().end(), uint8_t{200});
  for (Filter filter : {Filter::bilinear, Filter::bicubic, Filter::lanczos}) {
    for (const auto& [width, height] : {std::pair{5, 90}, {300, 1}, {1, 1}, {37, 2}}) {
      const Image out = resize(image, width, height, filter);
      for (uint8_t v : out.pixels()) ASSERT_EQ(v, 200);
    }
  }
}

TEST(RowKernels, vector_code_equals_the_plain_one_on_any_weights) {
  std::mt19937 rng(5);
  const RowKernels plain = portable_rows(), best = best_rows();
  for (int round = 0; round < 200; ++round) {
    const int in = 1 + int(rng() % 60), out = 1 + int(rng() % 60), rows = rng() % 2 ? 4 : 1;
    AxisWeights axis;
    axis.stride = 4 * (1 + int(rng() % 4));
    axis.precision = 10 + int(rng() % 8);
    axis.weights.assign(size_t(out) * axis.stride, 0);
    for (int i = 0; i < out; ++i) {
      axis.first.push_back(int(rng() % in));
      axis.count.push_back(1 + int(rng() % std::min(axis.stride, in - axis.first.back())));
      for (int k = 0; k < axis.count.back(); ++k)
        axis.weights[i * axis.stride + k] = int16_t(rng() % 65536 - 32768);
    }
    Image image(in, 8), expected(out, 4), found(out, 4);
    for (uint8_t& v : image.pixels()) v = uint8_t(rng());
    plain.across(axis, image.row(0), 3 * in, expected.row(0), 3 * out, rows);
    best.across(axis, image.row(0), 3 * in, found.row(0), 3 * out, rows);
    for (int i = 0; i < 3 * out * rows; ++i) ASSERT_EQ(found.pixels()[i], expected.pixels()[i]);

    std::vector<int16_t> weights(1 + rng() % 8);
    for (int16_t& w : weights) w = int16_t(rng() % 65536 - 32768);
    plain.down(weights.data(), int(weights.size()), axis.precision, image.row(0), 3 * in,
               expected.row(0), std::min(in, out) * 3);
    best.down(weights.data(), int(weights.size()), axis.precision, image.row(0), 3 * in,
              found.row(0), std::min(in, out) * 3);
    for (int i = 0; i < std::min(in, out) * 3; ++i)
      ASSERT_EQ(found.pixels()[i], expected.pixels()[i]);
  }
}

}  // namespace
}  // namespace lmms::media
