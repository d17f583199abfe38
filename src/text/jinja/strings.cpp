#include "text/jinja/strings.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <utility>

#include "text/unicode/categories.h"
#include "text/unicode/utf8.h"

namespace lmms::text::jinja {

bool is_space(char32_t c) {
  return unicode::is_space(c) || (c >= 0x1c && c <= 0x1f);
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

int64_t length(std::string_view text) {
  return std::ranges::count_if(text,
                               [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

size_t byte_of(std::string_view text, int64_t index) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (index-- > 0 && at < end) unicode::next(at);
  return static_cast<size_t>(at - text.data());
}

std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> chars) {
  const auto goes = [&](char32_t c) {
    if (!chars) return is_space(c);
    const char* at = chars->data();
    for (const char* const end = at + chars->size(); at < end;)
      if (unicode::next(at) == c) return true;
    return false;
  };
  const char *begin = text.data(), *end = begin + text.size();
  if (side != Side::right) {
    for (const char* next = begin; begin < end; begin = next)
      if (!goes(unicode::next(next))) break;
  }
  if (side != Side::left) {
    for (const char* previous = end; begin < end; end = previous)
      if (!goes(unicode::previous(previous))) break;
  }
  return {begin, static_cast<size_t>(end - begin)};
}

namespace {

std::vector<std::string_view> split_at_spaces(std::string_view text, int64_t limit) {
  std::vector<std::string_view> out;
  for (text = strip(text, Side::left); !text.empty(); text = strip(text, Side::left)) {
    if (limit >= 0 && static_cast<int64_t>(out.size()) == limit) {
      out.push_back(strip(text, Side::right));
      break;
    }
    const char *at = text.data(), *next = at, *const end = at + text.size();
    for (; at < end; at = next)
      if (is_space(unicode::next(next))) break;
    out.emplace_back(text.data(), static_cast<size_t>(at - text.data()));
    text.remove_prefix(out.back().size());
  }
  return out;
}

std::vector<std::string_view> rsplit_at_spaces(std::string_view text, int64_t limit) {
  std::vector<std::string_view> out;
  for (text = strip(text, Side::right); !text.empty(); text = strip(text, Side::right)) {
    if (limit >= 0 && static_cast<int64_t>(out.size()) == limit) {
      out.push_back(strip(text, Side::left));
      break;
    }
    const char *const begin = text.data(), *at = begin + text.size(), *previous = at;
    for (; at > begin; at = previous)
      if (is_space(unicode::previous(previous))) break;
    out.push_back(text.substr(static_cast<size_t>(at - begin)));
    text.remove_suffix(out.back().size());
  }
  std::ranges::reverse(out);
  return out;
}

}  // namespace

std::vector<std::string_view> split(std::string_view text,
                                    std::optional<std::string_view> separator, int64_t limit) {
  if (!separator) return split_at_spaces(text, limit);
  std::vector<std::string_view> out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t at = text.find(*separator);
    if (at == text.npos) break;
    out.push_back(text.substr(0, at));
    text.remove_prefix(at + separator->size());
  }
  out.push_back(text);
  return out;
}

std::vector<std::string_view> rsplit(std::string_view text,
                                     std::optional<std::string_view> separator, int64_t limit) {
  if (!separator) return rsplit_at_spaces(text, limit);
  std::vector<std::string_view> out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t at = text.rfind(*separator);
    if (at == text.npos) break;
    out.push_back(text.substr(at + separator->size()));
    text = text.substr(0, at);
  }
  out.push_back(text);
  std::ranges::reverse(out);
  return out;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  const auto ends_line = [](char32_t c) {
    return (c >= '\n' && c <= '\r') || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
  };
  std::vector<std::string_view> out;
  const char *begin = text.data(), *at = begin;
  const char* const end = begin + text.size();
  while (at < end) {
    const char* const break_at = at;
    const char32_t c = unicode::next(at);
    if (!ends_line(c)) continue;
    if (c == '\r' && at < end && *at == '\n') ++at;
    out.emplace_back(begin, static_cast<size_t>((keep_ends ? at : break_at) - begin));
    begin = at;
  }
  if (begin < end) out.emplace_back(begin, static_cast<size_t>(end - begin));
  return out;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to,
                    int64_t limit) {
  std::string out;
  auto more = [&, done = int64_t{0}]() mutable { return limit < 0 || done++ < limit; };
  if (from.empty()) {  // in front of every character and at the end
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at < end) {
      if (more()) out += to;
      const char* const begin = at;
      unicode::next(at);
      out.append(begin, at);
    }
    if (more()) out += to;
    return out;
  }
  for (size_t at = text.find(from); at != text.npos && more(); at = text.find(from)) {
    out += text.substr(0, at);
    out += to;
    text.remove_prefix(at + from.size());
  }
  return out += text;
}

namespace {

/// Unicode's case, as the C library has it; ASCII's alone where it has no such locale.
locale_t unicode_locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

constexpr char32_t kSharpS = 0xDF, kSigma = 0x3A3, kFinalSigma = 0x3C2, kDottedI = 0x130;

char32_t lower_of(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  return unicode_locale()
             ? static_cast<char32_t>(towlower_l(static_cast<wint_t>(c), unicode_locale()))
             : c;
}

char32_t upper_of(char32_t c) {
  if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
  return unicode_locale()
             ? static_cast<char32_t>(towupper_l(static_cast<wint_t>(c), unicode_locale()))
             : c;
}

bool is_cased(char32_t c) {
  using unicode::Category;
  const Category category = unicode::category(c);
  return category == Category::Lu || category == Category::Ll || category == Category::Lt;
}

/// Appends the character that ends before `at`, in lower case.
void append_lower(std::string_view text, const char* begin, const char* at, char32_t c,
                  std::string& out) {
  if (c == kDottedI) {
    out += "i\u0307";
  } else if (c == kSigma) {  // final behind a letter that ends its word
    const char *previous = begin, *next = at;
    const bool behind = begin > text.data() && is_cased(unicode::previous(previous));
    const bool ahead = at < text.data() + text.size() && is_cased(unicode::next(next));
    unicode::append(out, behind && !ahead ? kFinalSigma : kSigma + 0x20);
  } else {
    unicode::append(out, lower_of(c));
  }
}

void append_upper(char32_t c, std::string_view sharp_s, std::string& out) {
  if (c == kSharpS) {
    out += sharp_s;
  } else {
    unicode::append(out, upper_of(c));
  }
}

/// Every character in upper or lower case, as `begins_word` says.
template <class BeginsWord>
std::string titled(std::string_view text, BeginsWord begins_word) {
  std::string out;
  out.reserve(text.size());
  const char* at = text.data();
  for (const char* const end = at + text.size(); at < end;) {
    const char* const begin = at;
    const char32_t c = unicode::next(at);
    if (begins_word(c)) {
      append_upper(c, "Ss", out);
    } else {
      append_lower(text, begin, at, c, out);
    }
  }
  return out;
}

}  // namespace

std::string lower(std::string_view text) {
  return titled(text, [](char32_t) { return false; });
}

std::string upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const char* at = text.data();
  for (const char* const end = at + text.size(); at < end;)
    append_upper(unicode::next(at), "SS", out);
  return out;
}

std::string capitalize(std::string_view text) {
  return titled(text, [first = true](char32_t) mutable { return std::exchange(first, false); });
}

std::string title_words(std::string_view text) {
  return titled(text, [inside = false](char32_t c) mutable {
    const bool begins = !inside;
    inside = is_cased(c);
    return begins;
  });
}

std::string title(std::string_view text) {
  return titled(text, [begins = true](char32_t c) mutable {
    const bool now = begins;
    begins = is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
    return now && !begins;
  });
}

bool is_all(std::string_view text, CharClass wanted) {
  using unicode::Category;
  bool some = false;
  const char* at = text.data();
  for (const char* const end = at + text.size(); at < end;) {
    const char32_t c = unicode::next(at);
    const Category category = unicode::category(c);
    if (wanted == CharClass::lower || wanted == CharClass::upper) {
      if (!is_cased(c)) continue;
      some = true;
      if (category != (wanted == CharClass::lower ? Category::Ll : Category::Lu)) return false;
      continue;
    }
    some = true;
    const bool digit = category == Category::Nd;
    const bool fits = wanted == CharClass::space   ? is_space(c)
                      : wanted == CharClass::digit ? digit
                      : wanted == CharClass::alpha ? unicode::is_letter(c)
                                                   : digit || unicode::is_letter(c);
    if (!fits) return false;
  }
  return some;
}

}  // namespace lmms::text::jinja
