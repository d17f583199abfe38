#include "media/video.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>

#include "media/images_testing.h"
#include "media/videos_testing.h"

namespace lmms::media {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

using testing::video_cases;
using testing::video_file;

const json& clips() {
  return video_cases().at("clips");
}

std::vector<int64_t> all_of(int64_t count) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

/// The number that make_videos.py painted into a frame: eight squares along the upper edge.
int number_in(const Image& frame) {
  const int side = frame.width() / 8;
  int number = 0;
  for (int bit = 0; bit < 8; ++bit) {
    int sum = 0;
    for (int y = side / 4; y < side - side / 4; ++y)
      for (int x = bit * side + side / 4; x < (bit + 1) * side - side / 4; ++x)
        sum += frame.row(y)[3 * x + 1] - 128;
    number |= (sum > 0) << bit;
  }
  return number;
}

int largest_difference(const Image& frame, const uint8_t* expected) {
  int most = 0;
  for (size_t i = 0; i < frame.pixels().size(); ++i)
    most = std::max(most, std::abs(int(frame.pixels()[i]) - int(expected[i])));
  return most;
}

TEST(VideoParity, size_frames_and_rate_are_torchcodecs) {
  for (const auto& [name, c] : clips().items()) {
    SCOPED_TRACE(name);
    const std::string bytes = video_file(name);
    const Result<VideoInfo> info = probe_video(testing::bytes(bytes));
    ASSERT_TRUE(info.ok()) << info.fault().text();
    EXPECT_EQ(info->width, c["width"].get<int>());
    EXPECT_EQ(info->height, c["height"].get<int>());
    EXPECT_EQ(info->frames, c["frames"].get<int64_t>());
    EXPECT_DOUBLE_EQ(info->fps, c["fps"].get<double>());
    EXPECT_DOUBLE_EQ(info->seconds, c["seconds"].get<double>());
  }
}

TEST(VideoParity, every_frame_is_the_one_asked_for_and_its_pixels_are_torchcodecs) {
  size_t equal = 0, of = 0;
  for (const auto& [name, c] : clips().items()) {
    SCOPED_TRACE(name);
    const std::string bytes = video_file(name);
    const Result<std::vector<Image>> frames =
        decode_frames(testing::bytes(bytes), all_of(c["frames"]));
    ASSERT_TRUE(frames.ok()) << frames.fault().text();
    for (size_t i = 0; i < frames->size(); ++i) {
      const Image& frame = (*frames)[i];
      if (name.find("turned") == name.npos) {
        EXPECT_EQ(number_in(frame), int(i));
      }
      equal += testing::crc(frame.pixels()) == c["crc"][i].get<uint32_t>();
      ++of;
    }
    const std::string strip = video_file(name + ".png");
    const Image shown = decode(testing::bytes(strip)).take();
    int row = 0;
    for (const json& index : c["shown"]) {
      const Image& frame = (*frames)[index.get<size_t>()];
      EXPECT_LE(largest_difference(frame, shown.row(row)), 2) << "frame " << index;
      row += frame.height();
    }
  }
  RecordProperty("equal_bit_for_bit", int(equal));
  std::printf("%zu of %zu frames equal bit for bit\n", equal, of);
}

}  // namespace
}  // namespace lmms::media
