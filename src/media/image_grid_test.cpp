#include "media/image_grid.h"

#include <gtest/gtest.h>

#include <vector>

namespace lmms::media {
namespace {

std::vector<Image> plain_images(int count, int width, int height) {
  std::vector<Image> out;
  for (int i = 0; i < count; ++i) {
    Image image(width, height);
    for (uint8_t& value : image.pixels()) value = static_cast<uint8_t>(i + 1);
    image.row(0)[0] = 200;  // the corner of each
    out.push_back(std::move(image));
  }
  return out;
}

TEST(ImageGrid, lays_images_row_by_row_with_gaps) {
  const Image grid = image_grid(plain_images(5, 3, 2), {.columns = 3, .gap = 1, .shade = 99});
  ASSERT_EQ(grid.width(), 3 * 3 + 2);
  ASSERT_EQ(grid.height(), 2 * 2 + 1);
  const auto at = [&](int x, int y) { return int{grid.row(y)[3 * x]}; };
  EXPECT_EQ(at(0, 0), 200);
  EXPECT_EQ(at(1, 0), 1);
  EXPECT_EQ(at(3, 0), 99);  // a gap
  EXPECT_EQ(at(4, 0), 200);
  EXPECT_EQ(at(5, 1), 2);
  EXPECT_EQ(at(0, 2), 99);
  EXPECT_EQ(at(1, 4), 4);
  EXPECT_EQ(at(6, 4), 5);
  EXPECT_EQ(at(9, 4), 99);  // no sixth image
}

TEST(ImageGrid, enlarges_pixels_to_squares) {
  const Image grid = image_grid(plain_images(2, 2, 2), {.columns = 2, .gap = 1, .scale = 3});
  ASSERT_EQ(grid.width(), 15);
  ASSERT_EQ(grid.height(), 6);
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 3; ++x) EXPECT_EQ(grid.row(y)[3 * x], 200);
  EXPECT_EQ(grid.row(0)[9], 1);
  EXPECT_EQ(grid.row(5)[3 * 7], 96);
}

TEST(ImageGrid, keeps_a_group_in_one_row) {
  EXPECT_EQ(grid_columns(10, 8), 8);
  EXPECT_EQ(grid_columns(10, 4), 8);
  EXPECT_EQ(grid_columns(1, 16), 16);
  EXPECT_EQ(grid_columns(1, 1), 1);
  EXPECT_EQ(grid_columns(16, 1), 4);
  for (int groups = 1; groups < 40; ++groups)
    for (int size = 1; size < 12; ++size) EXPECT_EQ(grid_columns(groups, size) % size, 0);
}

TEST(ImageGrid, scales_small_images_alone) {
  EXPECT_EQ(grid_scale(8), 8);
  EXPECT_EQ(grid_scale(24), 3);
  EXPECT_EQ(grid_scale(256), 1);
}

TEST(ImageGrid, refuses_one_too_large_to_be_seen) {
  const auto images = plain_images(3, 20000, 1);
  EXPECT_THROW(image_grid(images, {.columns = 3, .scale = 1000}), Error);
}

}  // namespace
}  // namespace lmms::media
