#pragma once
/// Stored videos and what the references make of them (tests/parity/make_videos.py).
#include <nlohmann/json.hpp>
#include <string>

namespace lmms::media::testing {

/// A file of tests/parity/data/videos, or of the folder that `make_videos.py --check` has written
/// and LMMS_VIDEO_CORPUS names.
std::string video_file(const std::string& name);
/// Its cases.json.
const nlohmann::json& video_cases();

}  // namespace lmms::media::testing
