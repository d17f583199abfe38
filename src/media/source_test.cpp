#include "media/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "media/images_testing.h"
#include "media/videos_testing.h"

namespace lmms::media {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

const std::string kName = "png_rgb.png";

std::string base64(const std::string& bytes) {
  static constexpr std::string_view letters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t held = 0;
    for (size_t j = 0; j < 3; ++j)
      held = held << 8 | (i + j < bytes.size() ? uint8_t(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j)
      text.push_back(i + j > bytes.size() ? '=' : letters[held >> (18 - 6 * j) & 63]);
  }
  return text;
}

std::string read(std::string_view source, const std::filesystem::path& folder = testing::images()) {
  const Result<std::string> bytes = read_source(source, folder);
  return bytes.ok() ? *bytes : "fault: " + bytes.fault().text();
}

std::string read_value(const json& value) {
  const Result<std::string> bytes = read_source(value, testing::images());
  return bytes.ok() ? *bytes : "fault: " + bytes.fault().text();
}

TEST(Source, a_relative_path_is_joined_to_the_data_folder_and_an_absolute_one_is_not) {
  const std::string image = testing::file(kName);
  EXPECT_EQ(read(kName), image);
  EXPECT_EQ(read((testing::images() / kName).string(), "elsewhere"), image);
  EXPECT_EQ(read("file://" + (testing::images() / kName).string(), "elsewhere"), image);
  EXPECT_EQ(read("file://png%5frgb.png"), image);
}

TEST(Source, base64_is_read_in_data_urls_and_bare) {
  const std::string image = testing::file(kName), text = base64(image);
  EXPECT_EQ(read("data:image/png;base64," + text), image);
  EXPECT_EQ(read(text), image);
  EXPECT_EQ(read("data:,a%20b"), "a b");
  EXPECT_EQ(*decode_base64("aGk"), "hi");
  EXPECT_EQ(*decode_base64("aG\nk="), "hi");
  EXPECT_EQ(*decode_base64("_-8="), "\xff\xef");
}

TEST(Source, videos_are_read_as_images_are) {
  for (const char* name : {"h264.mp4", "vp9.webm", "mjpeg.avi", "animated.gif"}) {
    SCOPED_TRACE(name);
    const std::string video = testing::video_file(name);
    EXPECT_EQ(read("data:video/mp4;base64," + base64(video)), video);
    EXPECT_EQ(read(base64(video)), video);
  }
}

TEST(Source, bytes_of_a_column_go_before_the_path_beside_them) {
  const json bytes = json::binary({1, 2, 3});
  EXPECT_EQ(read_value(bytes), "\1\2\3");
  EXPECT_EQ(read_value({{"bytes", bytes}, {"path", kName}}), "\1\2\3");
  EXPECT_EQ(read_value({{"bytes", nullptr}, {"path", kName}}), testing::file(kName));
  EXPECT_EQ(read_value({{"path", kName}}), testing::file(kName));
}

TEST(SourceFaults, say_what_is_wrong_and_never_print_megabytes) {
  EXPECT_THAT(read("a/7.jpg", "/data/set"),
              HasSubstr("a/7.jpg: not found under data_folder=/data/set"));
  EXPECT_THAT(read("https://example.org/a.png"), HasSubstr("on the network"));
  EXPECT_THAT(read("HTTP://example.org/a.png"), HasSubstr("on the network"));
  EXPECT_THAT(read("."), HasSubstr("is a folder"));
  EXPECT_THAT(read(""), HasSubstr("empty text"));
  EXPECT_THAT(read(std::string_view("a\0b", 3)), HasSubstr("zero byte"));
  EXPECT_THAT(read("data:image/png;base64"), HasSubstr("without a comma"));
  EXPECT_THAT(read("data:image/png;base64,ab*d"), HasSubstr("no base64: byte 42 at position 2"));
  EXPECT_LT(read(std::string(1 << 20, 'A')).size(), 400u);
  EXPECT_THAT(read_value(7), HasSubstr("expected an image or a video, found number"));
  EXPECT_THAT(read_value(json::object()), HasSubstr("without bytes and without path"));
}

}  // namespace
}  // namespace lmms::media
