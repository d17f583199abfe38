#include "media/thumbnail.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "media/source.h"

namespace lmms::media {
namespace {

Image pattern(int width, int height, bool gray) {
  Image image(width, height);
  uint32_t state = 7;
  for (uint8_t& value : image.pixels()) {
    state = state * 1664525 + 1013904223;
    value = static_cast<uint8_t>(state >> 24);
  }
  if (gray) {
    for (size_t i = 0; i < image.pixels().size(); i += 3)
      image.pixels()[i + 1] = image.pixels()[i + 2] = image.pixels()[i];
  }
  return image;
}

Image decoded(const std::string& file) {
  return decode(std::as_bytes(std::span(file))).take();
}

bool equal(const Image& a, const Image& b) {
  return a.width() == b.width() && a.height() == b.height() &&
         std::equal(a.pixels().begin(), a.pixels().end(), b.pixels().begin());
}

TEST(Thumbnail, png_files_read_back_to_the_same_pixels) {
  for (const bool gray : {false, true}) {
    for (const auto& [width, height] : {std::pair{1, 1}, {8, 8}, {33, 5}}) {
      const Image image = pattern(width, height, gray);
      EXPECT_TRUE(equal(decoded(encode_png(image)), image)) << width << " " << height << gray;
    }
  }
  EXPECT_LT(encode_png(pattern(64, 64, true)).size(),
            encode_png(pattern(64, 64, false)).size() / 2);
}

TEST(Thumbnail, jpeg_files_read_back_to_nearly_the_same_pixels) {
  Image image(40, 24);
  for (int y = 0; y < 24; ++y) {
    for (int x = 0; x < 40; ++x) {
      for (int c = 0; c < 3; ++c) image.row(y)[x * 3 + c] = static_cast<uint8_t>(x * 4 + y * 3);
    }
  }
  const Image back = decoded(encode_jpeg(image, 90));
  ASSERT_EQ(back.width(), 40);
  ASSERT_EQ(back.height(), 24);
  int worst = 0;
  for (size_t i = 0; i < image.pixels().size(); ++i)
    worst = std::max(worst, std::abs(int(image.pixels()[i]) - int(back.pixels()[i])));
  EXPECT_LE(worst, 6);
}

TEST(Thumbnail, small_images_keep_their_pixels_and_large_ones_fit_the_limit) {
  const Image digit = pattern(8, 8, true);
  const std::string url = thumbnail_url(digit);
  EXPECT_TRUE(url.starts_with("data:image/png;base64,"));
  EXPECT_TRUE(equal(decoded(read_source(std::string_view(url), "").take()), digit));
  // noise is the worst that there is
  for (const auto& [width, height] : {std::pair{640, 480}, {3, 900}, {2000, 1}, {500, 500}}) {
    const std::string small = thumbnail_url(pattern(width, height, false));
    EXPECT_LE(small.size(), 4000u) << width << "x" << height;
    const Image back = decoded(read_source(std::string_view(small), "").take());
    EXPECT_LE(std::max(back.width(), back.height()), 112);
  }
}

TEST(Thumbnail, base64_is_what_decode_base64_reads) {
  for (const std::string& bytes : {std::string(), std::string("a"), std::string("ab"),
                                   std::string("abc"), std::string("\0\xff\x10\x80", 4)}) {
    EXPECT_EQ(decode_base64(encode_base64(bytes)).take(), bytes);
  }
  EXPECT_EQ(encode_base64("light w"), "bGlnaHQgdw==");
}

TEST(Thumbnail, blocks_show_brightness_and_colour_and_never_more_columns_than_asked_for) {
  Image image(2, 2);
  std::fill(image.pixels().begin(), image.pixels().end(), uint8_t{0});
  std::fill_n(image.row(0), 3, uint8_t{255});
  image.row(1)[3] = 255;  // red
  EXPECT_EQ(block_picture(image, 40, /*colour=*/false), "\u2588\u2588  \n  \u2591\u2591\n");
  const std::string colour = block_picture(image, 2, /*colour=*/true);
  EXPECT_EQ(colour,
            "\x1b[38;2;255;255;255m\x1b[48;2;0;0;0m\u2580\x1b[38;2;0;0;0m\x1b[48;2;255;0;0m\u2580"
            "\x1b[0m\n");
  const std::string wide = block_picture(pattern(300, 20, false), 30, false);
  EXPECT_EQ(std::count(wide.begin(), wide.end(), '\n'), 1);
}

}  // namespace
}  // namespace lmms::media
