#pragma once
/// Regular expressions as HF tokenizers reads them (Oniguruma, Ruby syntax), for the patterns that
/// have no scanner of their own: PCRE2 with the character classes spelled out from Unicode 16.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"

namespace lmms::text {

/// The pattern in PCRE2's syntax, or a fault that names what it does not know: \p{..} of general
/// categories, \s \S \d \D, classes, groups, look-around, quantifiers and literals are known.
Result<std::string> translate_regex(std::string_view pattern);

/// Whole-program constant; matching is thread-safe.
class Regex {
 public:
  static Result<Regex> compile(std::string_view pattern);
  /// Calls `found(begin, end)` for each match from left to right, empty ones left out. Throws Error
  /// if a text needs more backtracking than a bound allows.
  void find_all(std::string_view text, const std::function<void(size_t, size_t)>& found) const;

 private:
  struct Free {
    void operator()(void* code) const;
  };
  Regex(std::string pattern, void* code) : pattern_(std::move(pattern)), code_(code) {}
  std::string pattern_;
  std::unique_ptr<void, Free> code_;
};

}  // namespace lmms::text
