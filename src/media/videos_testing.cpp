#include "media/videos_testing.h"

#include <cstdlib>
#include <filesystem>

#include "core/files.h"

namespace lmms::media::testing {

std::string video_file(const std::string& name) {
  const char* prepared = std::getenv("LMMS_VIDEO_CORPUS");
  const std::filesystem::path folder =
      prepared ? std::filesystem::path(prepared)
               : std::filesystem::path(LMMS_SOURCE_DIR) / "tests" / "parity" / "data" / "videos";
  return read_file(folder / name).take();
}

const nlohmann::json& video_cases() {
  static const nlohmann::json read = nlohmann::json::parse(video_file("cases.json"));
  return read;
}

}  // namespace lmms::media::testing
