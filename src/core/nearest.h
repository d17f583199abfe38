#pragma once
/// The nearest known name, or file, for a mistyped one.
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lmms {

/// The candidate with the smallest Damerau-Levenshtein distance (optimal string alignment), if that
/// is at most a third of the word's length (at least 1, at most 3); ties go to the first.
std::optional<std::string> nearest_name(std::string_view word,
                                        std::span<const std::string> candidates);

/// What stands in the folder of `path` under the nearest name to the last part of it; the folder's
/// first 10,000 entries are looked at. Nothing if the folder is not there either.
std::optional<std::string> nearest_path(const std::filesystem::path& path);

}  // namespace lmms
