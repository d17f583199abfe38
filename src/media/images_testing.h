#pragma once
/// Stored images and what the references make of them (tests/parity/make_images.py).
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <string>

#include "core/files.h"
#include "core/source_dir_testing.h"
#include "media/image.h"

namespace lmms::media::testing {

inline std::filesystem::path stored_images() {
  return source_dir() / "tests" / "parity" / "data" / "images";
}

/// tests/parity/data/images, or the folder that scripts/check_images.sh has prepared.
inline std::filesystem::path images() {
  const char* prepared = std::getenv("LMMS_IMAGE_CORPUS");
  return prepared ? std::filesystem::path(prepared) : stored_images();
}

inline std::string file(const std::string& name) {
  return read_file(images() / name).take();
}

/// Its cases.json.
inline const nlohmann::json& cases() {
  static const nlohmann::json read = nlohmann::json::parse(file("cases.json"));
  return read;
}

/// odd_sizes.json: sizes of images that are drawn, and what the processors make of them.
inline const nlohmann::json& odd_sizes() {
  static const nlohmann::json read =
      nlohmann::json::parse(read_file(stored_images() / "odd_sizes.json").take());
  return read;
}

/// Such an image, as make_images.py draws it.
inline Image drawn(int width, int height, int kind) {
  Image image(width, height);
  uint8_t* value = image.pixels().data();
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t wave = x * x * (kind + c) + y * y * (kind + 2 * c + 1) + 3 * x * y;
        *value++ = uint8_t(wave / (width + height) + 37 * c * kind);
      }
    }
  }
  return image;
}

inline std::span<const std::byte> bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline uint32_t crc(std::span<const uint8_t> bytes) {
  return uint32_t(crc32_z(0, bytes.data(), bytes.size()));
}

/// Bytes of a file changed at a few places, or with a piece cut out or doubled.
inline std::string mutated(std::string text, uint64_t seed) {
  std::mt19937_64 rng(seed);
  const auto below = [&](size_t n) { return size_t(rng() % std::max<size_t>(n, 1)); };
  for (size_t n = 1 + below(6); n > 0; --n) {
    // Headers are short: half of the changes are aimed at the first 64 bytes.
    const size_t at = below(below(2) ? text.size() : std::min<size_t>(text.size(), 64));
    switch (below(4)) {
      case 0:
        text.erase(at, below(40));
        break;
      case 1:
        text.insert(at, text.substr(at, below(40)));
        break;
      default:
        if (!text.empty()) text[at] = below(3) ? char(below(256)) : char(0xff);
    }
  }
  return text;
}

/// The stored cases of one kind; none is a failure.
inline const nlohmann::json& cases(const char* kind) {
  EXPECT_FALSE(cases().at(kind).empty()) << kind;
  return cases().at(kind);
}

/// The image that a stored case names.
inline Image image_of(const nlohmann::json& c) {
  const std::string text = file(c["file"]);
  return decode(bytes(text)).take();
}

/// Elements of a tensor of this shape.
inline size_t count(const nlohmann::json& shape) {
  size_t values = 1;
  for (const nlohmann::json& n : shape) values *= n.get<size_t>();
  return values;
}

/// Equal to the values of a stored case: the first to the letter, all by their checksum.
inline void expect_equal(std::span<const float> found, const nlohmann::json& c) {
  if (c.contains("first")) {
    for (size_t i = 0; i < c["first"].size(); ++i)
      EXPECT_EQ(found[i], c["first"][i].get<float>()) << i;
  }
  EXPECT_EQ(crc({reinterpret_cast<const uint8_t*>(found.data()), found.size_bytes()}),
            c["crc"].get<uint32_t>());
}

}  // namespace lmms::media::testing
