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

std::vector<uint32_t> crcs(const std::vector<Image>& frames) {
  std::vector<uint32_t> all;
  for (const Image& frame : frames) all.push_back(testing::crc(frame.pixels()));
  return all;
}

TEST(Video, any_choice_of_frames_has_the_pixels_of_decoding_everything) {
  std::mt19937_64 rng(3);
  for (const auto& [name, c] : clips().items()) {
    SCOPED_TRACE(name);
    const std::string bytes = video_file(name);
    const int64_t count = c["frames"];
    const std::vector<uint32_t> whole =
        crcs(decode_frames(testing::bytes(bytes), all_of(count)).take());
    std::vector<std::vector<int64_t>> choices;
    for (int64_t i = 0; i < count; ++i) choices.push_back({i});
    for (int n = 0; n < 12; ++n) {
      std::vector<int64_t> some = all_of(count);
      std::shuffle(some.begin(), some.end(), rng);
      some.resize(1 + rng() % some.size());
      if (n % 2) some.push_back(some[0]);  // twice
      choices.push_back(some);
    }
    for (const std::vector<int64_t>& choice : choices) {
      const std::vector<uint32_t> found = crcs(decode_frames(testing::bytes(bytes), choice).take());
      for (size_t i = 0; i < choice.size(); ++i) EXPECT_EQ(found[i], whole[size_t(choice[i])]);
    }
  }
}

TEST(Video, is_opened_once_and_asked_often) {
  const std::string bytes = video_file("h264.mp4");
  Video video = Video::open(testing::bytes(bytes)).take();
  for (const int64_t index : {39, 0, 17, 39}) {
    int seen = -1;
    const std::vector<int64_t> indices{index};
    EXPECT_FALSE(video.decode(indices, [&](size_t, Image frame) { seen = number_in(frame); }));
    EXPECT_EQ(seen, index);
  }
}

TEST(Video, a_film_on_its_side_is_turned_unless_asked_not_to) {
  const std::string upright = video_file("one_frame.mp4"), turned = video_file("turned_90.mp4");
  const std::vector<int64_t> first{0};
  const std::vector<Image> plain = decode_frames(testing::bytes(upright), first).take();
  const std::vector<Image> as_stored =
      decode_frames(testing::bytes(turned), first, {.apply_rotation = false}).take();
  const Image &expected = plain[0], &stored = as_stored[0];
  EXPECT_EQ(testing::crc(stored.pixels()), testing::crc(expected.pixels()));
  const VideoInfo info = probe_video(testing::bytes(turned)).take();
  EXPECT_EQ(info.width, expected.height());
  EXPECT_EQ(info.height, expected.width());
}

TEST(Video, what_a_sink_throws_comes_out) {
  const std::string bytes = video_file("h264.mp4");
  EXPECT_THROW((void)Video::open(testing::bytes(bytes))
                   .take()
                   .decode(all_of(5), [](size_t, Image) { throw std::runtime_error("full"); }),
               std::runtime_error);
}

std::string fault_of(const std::string& bytes, const VideoOptions& options = {}) {
  const Result<VideoInfo> info = probe_video(testing::bytes(bytes), options);
  if (!info) return info.fault().text();
  const Result<std::vector<Image>> frames =
      decode_frames(testing::bytes(bytes), all_of(info->frames), options);
  return frames.ok() ? "no fault" : frames.fault().text();
}

TEST(VideoFaults, say_what_the_bytes_are_instead_of_a_video) {
  EXPECT_THAT(fault_of(""), HasSubstr("found an empty file"));
  EXPECT_THAT(fault_of("<html><body>404"), HasSubstr("found an HTML or XML text"));
  EXPECT_THAT(fault_of("version https://git-lfs.github.com/spec/v1"), HasSubstr("Git LFS pointer"));
  EXPECT_THAT(fault_of(std::string(4000, char(0))), HasSubstr("all zero"));
  EXPECT_THAT(fault_of(testing::file("jpeg_gray.jpg")), HasSubstr("found a JPEG image"));
  EXPECT_THAT(fault_of("what is this, it is long enough to be anything"),
              HasSubstr("no known container"));
}

TEST(VideoFaults, sound_alone_is_no_video) {
  EXPECT_THAT(fault_of(video_file("sound_alone.m4a")), HasSubstr("no video stream"));
}

TEST(VideoFaults, a_file_that_ends_early_is_a_fault_wherever_it_ends) {
  for (const auto& [name, c] : clips().items()) {
    const std::string whole = video_file(name);
    for (const double share : {0.05, 0.3, 0.5, 0.7, 0.9, 0.97}) {
      SCOPED_TRACE(name + " cut at " + std::to_string(share));
      EXPECT_NE(fault_of(whole.substr(0, size_t(double(whole.size()) * share))), "no fault");
    }
  }
}

TEST(VideoFaults, frames_over_the_limit_are_refused_and_the_limit_is_named) {
  const std::string bytes = video_file("h264.mp4");
  EXPECT_THAT(fault_of(bytes, {.max_pixels = 64 * 48 - 1}), HasSubstr("over the limit of 3071"));
  EXPECT_EQ(fault_of(bytes, {.max_pixels = 64 * 48}), "no fault");
}

TEST(VideoFaults, no_change_of_any_file_does_more_than_fail) {
  const char* rounds = std::getenv("LMMS_FUZZ_ROUNDS");
  int decoded = 0, refused = 0;
  for (const auto& [name, c] : clips().items()) {
    const std::string bytes = video_file(name);
    for (uint64_t round = 0; round < (rounds ? std::stoul(rounds) : 12u); ++round)
      (fault_of(testing::mutated(bytes, round), {.max_pixels = 1 << 18}) == "no fault" ? decoded
                                                                                       : refused)++;
  }
  EXPECT_GT(decoded, 10);
  EXPECT_GT(refused, 10);
}

}  // namespace
}  // namespace lmms::media
