#include "media/patch_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace lmms::media {
namespace {

Image gradient(int width, int height) {
  Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      uint8_t* p = image.row(y) + size_t(x) * 3;
      p[0] = static_cast<uint8_t>(x * 3);
      p[1] = static_cast<uint8_t>(y * 5);
      p[2] = static_cast<uint8_t>(x * 7 + y * 11);
    }
  }
  return image;
}

void expect_equal(const Image& a, const Image& b) {
  ASSERT_EQ(a.width(), b.width());
  ASSERT_EQ(a.height(), b.height());
  EXPECT_TRUE(std::ranges::equal(a.pixels(), b.pixels()));
}

TEST(PatchImage, gives_back_the_pixels_that_were_not_resized) {
  for (const int patch : {14, 16}) {
    PatchOptions options;
    options.patch = patch;
    options.min_pixels = 1;
    const Image image = gradient(patch * 6, patch * 4);
    const PatchGrid grid = patch_grid({image.height(), image.width()}, options).take();
    std::vector<float> patches(static_cast<size_t>(grid.patches() * patch_values(options)));
    write_patches(image, grid, options, patches);
    expect_equal(image_of_patches(patches, grid, options), image);
  }
}

TEST(PatchImage, gives_back_planes) {
  const Image image = gradient(31, 17);
  std::vector<float> planes(3 * 31 * 17);
  write_planes(image, {}, planes);
  expect_equal(image_of_planes(planes, {17, 31}, {}), image);
}

}  // namespace
}  // namespace lmms::media
