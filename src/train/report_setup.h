#pragma once
/// What reports show of a config.
#include <filesystem>
#include <optional>

#include "report/run_files.h"

namespace lmms::train {

/// A report::ReadConfig for every report of this program. Throws Error for a file that is no config
/// of this version.
std::optional<report::ConfigFacts> config_facts(const std::filesystem::path& file);

}  // namespace lmms::train
