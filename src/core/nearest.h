#pragma once
/// The nearest known name for a mistyped one.
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lmms {

/// The candidate with the smallest Damerau-Levenshtein distance (optimal string alignment), if that
/// is at most a third of the word's length (at least 1, at most 3); ties go to the first.
std::optional<std::string> nearest_name(std::string_view word,
                                        std::span<const std::string> candidates);

}  // namespace lmms
