#pragma once
/// Cuts a text into the words that byte-pair encoding never joins: the `pre_tokenizer` of
/// tokenizer.json.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "text/regex.h"
#include "text/word_scanner.h"

namespace lmms::text {

/// What becomes of the matches of a pattern (HF's SplitDelimiterBehavior).
enum class Matches { isolated, removed, merged_with_previous, merged_with_next, contiguous };

class PreTokenizer {
 public:
  /// Cuts each piece at the matches of a pattern; inverted, at what lies between them.
  struct Split {
    std::variant<WordPattern, Regex, std::string>
        pattern;  ///< a string is matched as it is written
    Matches matches = Matches::isolated;
    bool inverted = false;
  };
  /// Cuts numbers (\p{N}) off, together or one by one.
  struct Digits {
    bool individual = false;
  };
  /// Puts a space before each piece that begins with none.
  struct PrefixSpace {};
  using Step = std::variant<Split, Digits, PrefixSpace>;

  void add(Step step);

  /// Calls `word(std::string_view)` for each word of valid UTF-8, in order; none is empty.
  template <class Word>
  void words(std::string_view text, Word&& word) const {
    if (steps_.empty()) {
      if (!text.empty()) word(text);
    } else if (single_) {
      const char* at = text.data();
      const char* end = at + text.size();
      while (at < end) {
        const char* next = word_end(*single_, at, end);
        word(std::string_view(at, static_cast<size_t>(next - at)));
        at = next;
      }
    } else {
      Pieces pieces;
      cut(text, pieces);
      for (const std::string_view piece : pieces.list) word(piece);
    }
  }

 private:
  struct Pieces {
    std::vector<std::string_view> list;
    std::vector<std::unique_ptr<std::string>> made;  ///< texts that were not part of the input
  };
  void cut(std::string_view text, Pieces& pieces) const;

  std::vector<Step> steps_;
  std::optional<WordPattern>
      single_;  ///< if cutting into the words of one known pattern is all there is to do
};

}  // namespace lmms::text
