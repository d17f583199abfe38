#include "media/patches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "media/images_testing.h"
#include "media/plane_kernels.h"

namespace lmms::media {
namespace {

using nlohmann::json;
using testing::cases;
using testing::count;
using testing::expect_equal;
using ::testing::HasSubstr;
using testing::image_of;

Extent extent(const Image& image) {
  return {image.height(), image.width()};
}

const Normalisation kHalf{.mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}};

void expect_patches(const Image& image, const json& c) {
  PatchOptions options{.patch = c["patch"], .min_pixels = c["min"], .max_pixels = c["max"]};
  if (c["normalisation"] == "half") options.normalisation = kHalf;
  const PatchGrid grid = patch_grid(extent(image), options).take();
  EXPECT_EQ(json({grid.t, grid.h, grid.w}), c["grid"]);
  EXPECT_EQ(grid.tokens(options.merge), c["tokens"].get<int64_t>());
  ASSERT_EQ(json({grid.patches(), patch_values(options)}), c["shape"]);
  std::vector<float> values(count(c["shape"]));
  write_patches(image, grid, options, values);
  expect_equal(values, c);
}

TEST(PatchesParity, values_grids_and_tokens_equal_qwen_image_processors_bit_for_bit) {
  for (const json& c : cases("patches")) {
    SCOPED_TRACE(c.dump());
    expect_patches(image_of(c), c);
  }
}

TEST(OddSizesParity, two_hundred_images_equal_qwen_image_processors_bit_for_bit) {
  ASSERT_GE(testing::odd_sizes().size(), 200u);
  for (const json& c : testing::odd_sizes()) {
    SCOPED_TRACE(c.dump());
    const Image image = testing::drawn(c["width"], c["height"], c["kind"]);
    for (const json& made : c["patches"]) expect_patches(image, made);
  }
}

TEST(PlanesParity, equal_siglip) {
  for (const json& c : cases("planes")) {
    SCOPED_TRACE(c.dump());
    std::vector<float> values(count(c["shape"]));
    write_planes(resize(image_of(c), c["side"], c["side"]), kHalf, values);
    expect_equal(values, c);
  }
}

TEST(SmartResizeParity, equals_transformers_on_random_sizes) {
  for (const json& c : cases("smart_resize")) {
    SCOPED_TRACE(c.dump());
    const Result<Extent> found = smart_resize({c[0], c[1]}, c[2], c[3], c[4]);
    ASSERT_EQ(found.ok(), !c[5].is_null());
    if (!found.ok()) continue;
    EXPECT_EQ(json({found->height, found->width}), c[5]);
  }
}

TEST(SmartResize, refuses_what_no_grid_can_hold_and_says_why) {
  EXPECT_THAT(smart_resize({10, 2001}, 28, 3136, 1003520).fault().text(),
              HasSubstr("2001 x 10 pixels: its sides are in a ratio above 200"));
  EXPECT_THAT(smart_resize({9, 9}, 28, 0, 1003520).fault().text(),
              HasSubstr("raise image_min_pixels to 784"));
}

TEST(PlaneKernels, vector_code_equals_the_plain_one) {
  const PlaneKernels plain = portable_planes(), best = best_planes();
  for (const int width : {1, 5, 8, 14, 16, 27, 49}) {
    Image image(width, 3);
    for (size_t i = 0; i < image.pixels().size(); ++i) image.pixels()[i] = uint8_t(i * 37 + i / 9);
    std::vector<uint8_t> expected[3], found[3];
    for (int c = 0; c < 3; ++c) {
      expected[c].assign(width + 16, 0);
      found[c].assign(width + 16, 0);
    }
    plain.split(image.row(2), width, expected[0].data(), expected[1].data(), expected[2].data());
    best.split(image.row(2), width, found[0].data(), found[1].data(), found[2].data());
    for (int c = 0; c < 3; ++c)
      EXPECT_TRUE(std::equal(expected[c].begin(), expected[c].begin() + width, found[c].begin()));

    std::vector<float> a(width * 3), b(width * 3), stored(width * 3);
    for (const Channel& channel : {Channel(0.48145466f * 255, 0.26862954f * 255),
                                   Channel(127.5f, 127.5f), Channel(3.1f, 0.007f)}) {
      plain.emit(channel, image.row(0), 3 * width, 3, width, a.data());
      best.emit(channel, image.row(0), 3 * width, 3, width, b.data());
      EXPECT_EQ(a, b) << width;
      EXPECT_EQ(a[0], (float(image.row(0)[0]) - channel.mean) / channel.std);
    }
    best.store(stored.data(), a.data(), int64_t(a.size()));
    EXPECT_EQ(stored, a);
    for (size_t shift = 1; shift < std::min<size_t>(a.size(), 8);
         ++shift) {  // addresses of every kind
      std::fill(stored.begin(), stored.end(), 0.f);
      best.store(stored.data() + shift, a.data(), int64_t(a.size() - shift));
      best.settle();
      EXPECT_TRUE(std::equal(stored.begin() + long(shift), stored.end(), a.begin())) << shift;
    }
  }
}

TEST(Tiles, are_cut_row_by_row_and_a_border_that_fills_no_patch_is_left_out) {
  Image image(10, 5);  // two tiles of 5 x 5
  for (size_t i = 0; i < image.pixels().size(); ++i) image.pixels()[i] = uint8_t(i);
  const Normalisation none{.mean = {0, 0, 0}, .std = {1, 1, 1}, .rescale = 1};
  std::vector<float> planes(2 * size_t(tile_values({5, 5}, 0)));
  write_tiles(image, none, {5, 5}, 0, planes);
  std::vector<float> patches(2 * size_t(tile_values({5, 5}, 2)));
  EXPECT_EQ(patches.size(), 2u * 4 * 3 * 2 * 2);
  write_tiles(image, none, {5, 5}, 2, patches);
  const auto pixel = [&](int x, int y, int c) { return float(image.row(y)[3 * x + c]); };
  for (int tile = 0; tile < 2; ++tile) {
    for (int c = 0; c < 3; ++c) {
      for (int y = 0; y < 5; ++y)
        for (int x = 0; x < 5; ++x)
          EXPECT_EQ(planes[size_t(((tile * 3 + c) * 5 + y) * 5 + x)], pixel(5 * tile + x, y, c));
      for (int y = 0; y < 4; ++y)
        for (int x = 0; x < 4; ++x)
          EXPECT_EQ(
              patches[size_t((((tile * 4 + y / 2 * 2 + x / 2) * 3 + c) * 2 + y % 2) * 2 + x % 2)],
              pixel(5 * tile + x, y, c));
    }
  }
  planes.pop_back();
  EXPECT_THROW(write_tiles(image, none, {5, 5}, 0, planes), Error);
}

TEST(Patches, room_of_the_wrong_size_is_our_own_mistake_and_throws) {
  const Image image(28, 28);
  std::vector<float> values(7);
  EXPECT_THROW(write_patches(image, {1, 2, 2}, {}, values), Error);
}

}  // namespace
}  // namespace lmms::media
