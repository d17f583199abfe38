#pragma once
/// What belongs to a model folder besides config.json and weights: tokenizer, processor, chat
/// template, generation settings, and Python files where the config needs them.
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/error.h"

namespace lmms::checkpoint {

/// Contents of files by their paths within a folder.
using SideFiles = std::map<std::filesystem::path, std::string>;

/// More than any tokenizer and its processor come to; files beyond it are not what they seem.
inline constexpr uint64_t kMaxSideBytes = uint64_t{512} << 20;

/// Whether a file at the top of a folder has such a name (Python files are not told by name).
bool is_side_file(const std::filesystem::path& name);

/// Those of a folder, ascending; Python files only beside a config with auto_map. Paths are
/// relative to the folder, and none is opened.
std::vector<std::filesystem::path> side_files_of(const std::filesystem::path& folder);

/// Reads those of `tokenizer_folder`; what belongs to the model, its generation settings and code,
/// comes from `model_folder` (empty: from `tokenizer_folder` too). Held in memory from a run's
/// start they are in every checkpoint, whatever becomes of the folders. Faults: a file that cannot
/// be read (a link to nowhere is one), more than kMaxSideBytes.
Result<SideFiles> read_side_files(const std::filesystem::path& tokenizer_folder,
                                  const std::filesystem::path& model_folder);

}  // namespace lmms::checkpoint
