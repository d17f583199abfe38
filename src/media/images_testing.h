#pragma once
/// Stored images and what the references make of them (tests/parity/make_images.py).
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "media/image.h"

namespace lmms::media::testing {

/// tests/parity/data/images, or the folder that scripts/check_images.sh has prepared.
std::filesystem::path images();
/// Its cases.json.
const nlohmann::json& cases();
/// odd_sizes.json: sizes of images that are drawn, and what the processors make of them.
const nlohmann::json& odd_sizes();
/// Such an image, as make_images.py draws it.
Image drawn(int width, int height, int kind);
std::string file(const std::string& name);
std::span<const std::byte> bytes(const std::string& text);
uint32_t crc(std::span<const uint8_t> bytes);
/// Bytes of a file changed at a few places, or with a piece cut out or doubled.
std::string mutated(std::string text, uint64_t seed);

}  // namespace lmms::media::testing
