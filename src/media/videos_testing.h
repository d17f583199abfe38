#pragma once
/// Stored videos and what the references make of them (tests/parity/make_videos.py).
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "core/files.h"
#include "core/source_dir_testing.h"

namespace lmms::media::testing {

/// A file of tests/parity/data/videos, or of the folder that `make_videos.py --check` has written
/// and LMMS_VIDEO_CORPUS names.
inline std::string video_file(const std::string& name) {
  const char* prepared = std::getenv("LMMS_VIDEO_CORPUS");
  const std::filesystem::path folder = prepared
                                           ? std::filesystem::path(prepared)
                                           : source_dir() / "tests" / "parity" / "data" / "videos";
  return read_file(folder / name).take();
}

/// Its cases.json.
inline const nlohmann::json& video_cases() {
  static const nlohmann::json read = nlohmann::json::parse(video_file("cases.json"));
  return read;
}

}  // namespace lmms::media::testing
