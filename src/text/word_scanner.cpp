#include "text/word_scanner.h"

#include "text/unicode/categories.h"
#include "text/unicode/utf8.h"

namespace lmms::text {
namespace {

using unicode::Kind;

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kCl100k =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

enum class Marks { apart, in_words };

/// With marks in words a mark counts as a letter, apart from that it is `other`.
template <Marks marks>
Kind kind_of(char32_t c) {
  const Kind kind = unicode::kind(c);
  if (kind != Kind::mark) return kind;
  return marks == Marks::in_words ? Kind::letter : Kind::other;
}

template <Marks marks>
const char* skip(Kind wanted, const char* at, const char* end) {
  while (at < end) {
    const char* here = at;
    if (kind_of<marks>(unicode::next(at)) != wanted) return here;
  }
  return at;
}

/// The bytes of 's 't 're 've 'm 'll 'd at an apostrophe, or 0. Ignoring case, 's is also
/// apostrophe + U+017F (long s), the only character outside ASCII that folds into one of these.
size_t contraction(const char* at, const char* end, bool ignore_case) {
  const auto letter = [&](int i) {
    if (end - at <= i) return '\0';
    return ignore_case && at[i] >= 'A' && at[i] <= 'Z' ? static_cast<char>(at[i] | 0x20) : at[i];
  };
  const char first = letter(1), second = letter(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  return ignore_case && first == '\xC5' && second == '\xBF' ? 3 : 0;
}

/// `\s+(?!\S)|\s+`: a run of white space leaves its last character to the word after it, unless it
/// is alone or nothing follows. With `lines`, `\s*[\r\n]+` comes first: the run up to its last line
/// break.
const char* white_space_end(const char* at, const char* end, bool lines) {
  const char* start = at;
  const char* last = at;  // where the last character of the run begins
  const char* after_break = nullptr;
  while (at < end) {
    const char* here = at;
    const Kind kind = unicode::kind(unicode::next(at));
    if (kind != Kind::space && kind != Kind::newline) {
      at = here;
      break;
    }
    last = here;
    if (kind == Kind::newline) after_break = at;
  }
  if (lines && after_break != nullptr) return after_break;
  return at == end || last == start ? at : last;
}

const char* gpt2_end(const char* at, const char* end) {
  if (*at == '\'') {
    if (const size_t length = contraction(at, end, false)) return at + length;
  }
  const char* after = at;
  Kind kind = kind_of<Marks::apart>(unicode::next(after));
  if (*at == ' ' && after < end) {
    const char* behind = after;
    const Kind following = kind_of<Marks::apart>(unicode::next(behind));
    if (following != Kind::space && following != Kind::newline) {
      kind = following;
      after = behind;
    }
  }
  if (kind == Kind::space || kind == Kind::newline) return white_space_end(at, end, false);
  return skip<Marks::apart>(kind, after, end);
}

template <Marks marks, int kDigits>
const char* cl100k_end(const char* at, const char* end) {
  const char* after = at;
  const Kind kind = kind_of<marks>(unicode::next(after));
  if (kind == Kind::letter) return skip<marks>(Kind::letter, after, end);
  if (*at == '\'') {
    if (const size_t length = contraction(at, end, true)) return at + length;
  }
  if (kind == Kind::number) {
    for (int digits = 1; digits < kDigits && after < end; ++digits) {
      const char* here = after;
      if (kind_of<marks>(unicode::next(after)) != Kind::number) return here;
    }
    return after;
  }
  if (kind != Kind::newline && after < end) {
    const char* behind = after;
    const Kind following = kind_of<marks>(unicode::next(behind));
    if (following == Kind::letter) return skip<marks>(Kind::letter, behind, end);
    if (*at == ' ' && following == Kind::other) {
      return skip<marks>(Kind::newline, skip<marks>(Kind::other, behind, end), end);
    }
  }
  if (kind == Kind::other) {
    return skip<marks>(Kind::newline, skip<marks>(Kind::other, after, end), end);
  }
  return white_space_end(at, end, true);
}

}  // namespace

std::optional<WordPattern> known_pattern(std::string_view regex) {
  if (regex == kGpt2) return WordPattern::gpt2;
  if (regex == kCl100k) return WordPattern::cl100k;
  if (regex == kQwen2) return WordPattern::qwen2;
  if (regex == kQwen35) return WordPattern::qwen35;
  return std::nullopt;
}

const char* word_end(WordPattern pattern, const char* at, const char* end) {
  switch (pattern) {
    case WordPattern::gpt2:
      return gpt2_end(at, end);
    case WordPattern::cl100k:
      return cl100k_end<Marks::apart, 3>(at, end);
    case WordPattern::qwen2:
      return cl100k_end<Marks::apart, 1>(at, end);
    case WordPattern::qwen35:
      break;
  }
  return cl100k_end<Marks::in_words, 1>(at, end);
}

}  // namespace lmms::text
