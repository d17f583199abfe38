#include "inspect/preview/token_text.h"

#include <algorithm>
#include <array>

#include "core/format.h"
#include "text/unicode/categories.h"
#include "text/unicode/utf8.h"

namespace lmms::inspect::preview {
namespace {

namespace unicode = text::unicode;

/// Bytes that a UTF-8 sequence with this first byte has; 0: none begins with it.
size_t sequence_length(uint8_t lead) {
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return lead < 0x80 ? 1 : 0;
}

/// Whether more bytes could make a character of these, which are not valid.
bool may_go_on(std::string_view bytes) {
  if (bytes.size() >= sequence_length(static_cast<uint8_t>(bytes[0]))) return false;
  return std::all_of(bytes.begin() + 1, bytes.end(),
                     [](char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; });
}

/// Steers layout, or shows nothing. Joiners (U+200C, U+200D) are let through: emoji and scripts are
/// written with them.
bool must_be_spelled(char32_t c) {
  if (c == 0x200C || c == 0x200D) return false;
  switch (unicode::category(c)) {
    case unicode::Category::Cc:
    case unicode::Category::Cf:
    case unicode::Category::Cs:
    case unicode::Category::Zl:
    case unicode::Category::Zp:
      return true;
    default:
      return false;
  }
}

bool is_wide(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  static constexpr std::array<Range, 14> kWide = {{{0x1100, 0x115F},
                                                   {0x2E80, 0x303E},
                                                   {0x3041, 0x33FF},
                                                   {0x3400, 0x4DBF},
                                                   {0x4E00, 0x9FFF},
                                                   {0xA000, 0xA4CF},
                                                   {0xAC00, 0xD7A3},
                                                   {0xF900, 0xFAFF},
                                                   {0xFE30, 0xFE6F},
                                                   {0xFF00, 0xFF60},
                                                   {0xFFE0, 0xFFE6},
                                                   {0x1F300, 0x1F64F},
                                                   {0x1F680, 0x1F9FF},
                                                   {0x20000, 0x3FFFD}}};
  return std::any_of(kWide.begin(), kWide.end(),
                     [c](const Range& range) { return c >= range.first && c <= range.last; });
}

}  // namespace

std::vector<std::string> token_texts(std::span<const int32_t> ids,
                                     const text::Tokenizer& tokenizer) {
  std::vector<std::string> texts(ids.size());
  std::string waiting;  // the beginning of a character
  for (size_t i = 0; i < ids.size(); ++i) {
    waiting += tokenizer.bytes(ids[i]);
    const bool last = i + 1 == ids.size();
    size_t whole = 0;  // bytes that are decided
    while (whole < waiting.size()) {
      const auto rest = std::string_view(waiting).substr(whole);
      if (const size_t valid = unicode::valid_prefix(rest); valid > 0) {
        whole += valid;
      } else if (!last && may_go_on(rest)) {
        break;
      } else {
        ++whole;
      }
    }
    texts[i] = unicode::replace_invalid(std::string_view(waiting).substr(0, whole));
    waiting.erase(0, whole);
  }
  return texts;
}

std::string visible(std::string_view text, Newline newline) {
  const std::string valid = unicode::replace_invalid(text);
  std::string out;
  for (const char *at = valid.data(), *const end = at + valid.size(); at < end;) {
    const char32_t c = unicode::next(at);
    if (c == '\n') {
      out += newline == Newline::kept ? "↵\n" : "↵";
    } else if (c == '\t') {
      out += "⇥";
    } else if (c < 0x20) {
      unicode::append(out, 0x2400 + c);
    } else if (c == 0x7F) {
      out += "␡";
    } else if (must_be_spelled(c)) {
      out += fmt::format("\\u{{{:04X}}}", static_cast<uint32_t>(c));
    } else {
      unicode::append(out, c);
    }
  }
  return out;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) {
    out += fmt::format("{}{:02x}", out.empty() ? "" : " ", static_cast<uint8_t>(byte));
  }
  return out;
}

int width_of(char32_t c) {
  const auto category = unicode::category(c);
  if (category == unicode::Category::Mn || category == unicode::Category::Me ||
      category == unicode::Category::Cf) {
    return 0;
  }
  return is_wide(c) ? 2 : 1;
}

int width_of(std::string_view text) {
  const std::string valid = unicode::replace_invalid(text);
  int width = 0;
  for (const char *at = valid.data(), *const end = at + valid.size(); at < end;)
    width += width_of(unicode::next(at));
  return width;
}

std::string shortened(std::string_view text, int columns) {
  if (width_of(text) <= columns) return std::string(text);
  const std::string valid = unicode::replace_invalid(text);
  int room = columns - 1;
  const char* at = valid.data();
  while (true) {
    const char* after = at;
    room -= width_of(unicode::next(after));
    if (room < 0) break;
    at = after;
  }
  return valid.substr(0, static_cast<size_t>(at - valid.data())) + "…";
}

}  // namespace lmms::inspect::preview
