#pragma once
/// What happens to a text before it is cut into words: the `normalizer` of tokenizer.json.
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/regex.h"

namespace lmms::text {

struct Nfc {};
/// Puts a text before every one that is not empty.
struct Prepend {
  std::string text;
};
struct ReplaceText {
  std::string from, to;
};
struct ReplaceMatches {
  Regex from;
  std::string to;
};

class Normalizer {
 public:
  using Step = std::variant<Nfc, Prepend, ReplaceText, ReplaceMatches>;
  void add(Step step);
  /// The normalised text: `text` itself where nothing changes, else `buffer`, which it fills.
  /// `text` is valid UTF-8.
  std::string_view apply(std::string_view text, std::string& buffer) const;

 private:
  std::vector<Step> steps_;
};

}  // namespace lmms::text
