#include "media/images_testing.h"

#include <zlib.h>

#include <cstdlib>

#include "core/files.h"

namespace lmms::media::testing {

std::filesystem::path images() {
  const char* prepared = std::getenv("LMMS_IMAGE_CORPUS");
  return prepared ? std::filesystem::path(prepared)
                  : std::filesystem::path(LMMS_SOURCE_DIR) / "tests" / "parity" / "data" / "images";
}

const nlohmann::json& cases() {
  static const nlohmann::json read = nlohmann::json::parse(file("cases.json"));
  return read;
}

std::string file(const std::string& name) {
  return read_file(images() / name).take();
}

std::span<const std::byte> bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

uint32_t crc(std::span<const uint8_t> bytes) {
  return uint32_t(crc32_z(0, bytes.data(), bytes.size()));
}

}  // namespace lmms::media::testing
