#include "media/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>

#include "media/images_testing.h"

namespace lmms::media {
namespace {

using ::testing::HasSubstr;

std::string seen(const Image& image) {
  return std::to_string(image.width()) + "x" + std::to_string(image.height()) + " crc " +
         std::to_string(testing::crc(image.pixels()));
}

std::string expected(const nlohmann::json& result) {
  return std::to_string(result[0].get<int>()) + "x" + std::to_string(result[1].get<int>()) +
         " crc " + std::to_string(result[2].get<uint32_t>());
}

TEST(ImageParity, pixels_equal_pillow_bit_for_bit_turned_and_as_stored) {
  for (const auto& [name, results] : testing::cases().at("decode").items()) {
    SCOPED_TRACE(name);
    const std::string text = testing::file(name);
    const Result<Image> turned = decode(testing::bytes(text));
    if (results.is_null()) {
      EXPECT_FALSE(turned.ok()) << "Pillow refuses it";
      continue;
    }
    ASSERT_TRUE(turned.ok()) << turned.fault().text();
    EXPECT_EQ(seen(*turned), expected(results[0]));
    const Result<Image> stored = decode(testing::bytes(text), {.apply_exif = false});
    ASSERT_TRUE(stored.ok());
    EXPECT_EQ(seen(*stored), expected(results[1]));
  }
}

TEST(ImageParity, probe_tells_size_and_orientation_without_decoding) {
  for (const auto& [name, results] : testing::cases().at("decode").items()) {
    if (results.is_null()) continue;
    SCOPED_TRACE(name);
    const std::string text = testing::file(name);
    const Result<ImageInfo> info = probe(testing::bytes(text));
    ASSERT_TRUE(info.ok()) << info.fault().text();
    EXPECT_EQ(info->width, results[1][0].get<int>());
    EXPECT_EQ(info->height, results[1][1].get<int>());
    EXPECT_EQ(info->turned(), name.find("_turned") != name.npos && info->orientation > 4);
  }
}

std::string fault_of(const std::string& text, const DecodeOptions& options = {}) {
  const Result<Image> image = decode(testing::bytes(text), options);
  return image.ok() ? "no fault" : image.fault().text();
}

TEST(ImageFaults, say_what_the_bytes_are_instead_of_an_image) {
  EXPECT_THAT(fault_of(""), HasSubstr("found an empty file"));
  EXPECT_THAT(fault_of("<html><body>404"), HasSubstr("found an HTML, XML or SVG text"));
  EXPECT_THAT(fault_of("version https://git-lfs.github.com/spec/v1"), HasSubstr("Git LFS pointer"));
  EXPECT_THAT(fault_of(std::string("\0\0\0\x20"
                                   "ftypisom",
                                   12)),
              HasSubstr("an MP4 or MOV video"));
  EXPECT_THAT(fault_of("what is this"),
              HasSubstr("expected an image (JPEG, PNG, WebP, GIF or BMP)"));
}

TEST(ImageFaults, a_file_that_ends_early_is_named_with_its_format) {
  for (const char* name : {"jpeg_33x47_2.jpg", "jpeg_progressive.jpg", "png_rgb.png",
                           "webp_lossy.webp", "gif_plain.gif", "bmp_24.bmp"}) {
    SCOPED_TRACE(name);
    const std::string whole = testing::file(name);
    for (size_t size : {size_t{20}, whole.size() / 3, whole.size() / 2, whole.size() * 9 / 10})
      EXPECT_THAT(fault_of(whole.substr(0, size)),
                  HasSubstr("the file ends within the image, after"));
  }
}

TEST(ImageFaults, a_bomb_is_refused_by_its_header_and_the_limit_is_named) {
  EXPECT_THAT(fault_of(testing::file("bomb.png")), HasSubstr("over the limit of 178956970"));
  EXPECT_THAT(fault_of(testing::file("png_rgb.png"), {.max_pixels = 37 * 29 - 1}),
              HasSubstr("over the limit of 1072"));
  EXPECT_EQ(fault_of(testing::file("png_rgb.png"), {.max_pixels = 37 * 29}), "no fault");
}

/// A PNG of 60 x 60 black pixels whose deflate stream unpacks to `unpacked` bytes.
std::string png_with(size_t unpacked, bool interlaced) {
  const auto be32 = [](uint32_t n) {
    return std::string{char(n >> 24), char(n >> 16), char(n >> 8), char(n)};
  };
  const auto chunk = [&](const std::string& type, const std::string& content) {
    const std::string both = type + content;
    return be32(uint32_t(content.size())) + both +
           be32(testing::crc({reinterpret_cast<const uint8_t*>(both.data()), both.size()}));
  };
  const std::string zeros(unpacked, '\0');
  std::string packed(compressBound(unpacked), '\0');
  uLongf size = packed.size();
  compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
            reinterpret_cast<const Bytef*>(zeros.data()), unpacked, 9);
  packed.resize(size);
  return "\x89PNG\r\n\x1a\n" +
         chunk("IHDR", be32(60) + be32(60) + std::string{8, 2, 0, 0, char(interlaced)}) +
         chunk("IDAT", packed) + chunk("IEND", "");
}

TEST(ImageFaults, a_png_that_unpacks_to_far_more_than_its_rows_is_refused) {
  for (const bool interlaced : {false, true}) {
    SCOPED_TRACE(interlaced);
    EXPECT_EQ(fault_of(png_with(60 * 181 + 5000, interlaced)), "no fault") << "as Pillow does";
    EXPECT_THAT(fault_of(png_with(60 << 20, interlaced)),
                HasSubstr("too much data behind the last row"));
  }
}

TEST(Image, turning_there_and_back_gives_the_image) {
  Image image(5, 3);
  for (size_t i = 0; i < image.pixels().size(); ++i) image.pixels()[i] = uint8_t(i * 7);
  const std::string before = seen(image);
  const int back[] = {1, 1, 2, 3, 4, 5, 8, 7, 6};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    image = turn(std::move(image), orientation);
    EXPECT_EQ(image.width(), orientation >= 5 ? 3 : 5);
    image = turn(std::move(image), back[orientation]);
    EXPECT_EQ(seen(image), before) << orientation;
  }
}

TEST(ImageFaults, no_change_of_any_file_does_more_than_fail) {
  const char* rounds = std::getenv("LMMS_FUZZ_ROUNDS");
  int decoded = 0, refused = 0;
  for (const auto& [name, results] : testing::cases().at("decode").items()) {
    const std::string text = testing::file(name);
    for (uint64_t round = 0; round < (rounds ? std::stoul(rounds) : 40u); ++round) {
      const std::string changed = testing::mutated(
          text, round * 1000 +
                    testing::crc({reinterpret_cast<const uint8_t*>(name.data()), name.size()}));
      (decode(testing::bytes(changed), {.max_pixels = 1 << 20}).ok() ? decoded : refused)++;
    }
  }
  EXPECT_GT(decoded, 100);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace lmms::media
