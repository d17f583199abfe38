#pragma once
/// Properties of code points in Unicode 16, those HF tokenizers' regular expressions see.
#include <cstdint>

#include "text/unicode/tables.h"

namespace lmms::text::unicode {

inline constexpr char32_t kLastCodePoint = 0x10FFFF;

/// General categories in the order of make_tables.py.
enum class Category : uint8_t {
  Cn,
  Cc,
  Cf,
  Co,
  Cs,
  Ll,
  Lm,
  Lo,
  Lt,
  Lu,
  Mc,
  Me,
  Mn,
  Nd,
  Nl,
  No,
  Pc,
  Pd,
  Pe,
  Pf,
  Pi,
  Po,
  Ps,
  Sc,
  Sk,
  Sm,
  So,
  Zl,
  Zp,
  Zs,
};
inline constexpr int kCategories = 30;

inline uint8_t property(char32_t c) {
  return kPropertyBlocks[(kPropertyIndex[c >> kBlockBits] << kBlockBits) |
                         (c & ((1u << kBlockBits) - 1))];
}
inline Category category(char32_t c) {
  return static_cast<Category>(property(c) & 31);
}
inline bool is_letter(char32_t c) {
  return category(c) >= Category::Ll && category(c) <= Category::Lu;
}
inline bool is_mark(char32_t c) {
  return category(c) >= Category::Mc && category(c) <= Category::Mn;
}
inline bool is_number(char32_t c) {
  return category(c) >= Category::Nd && category(c) <= Category::No;
}
/// `\s`: White_Space.
inline bool is_space(char32_t c) {
  return (property(c) & 32) != 0;
}
/// Whether NFC may change this character, join it to one before it, or move it: all others stay,
/// and end a run that may change.
inline bool nfc_may_change(char32_t c) {
  return (property(c) & 192) != 0;
}
/// Of those: whether it may do more than move a mark.
inline bool nfc_may_replace(char32_t c) {
  return (property(c) & 64) != 0;
}

/// What a pre-tokeniser tells apart.
enum class Kind : uint8_t { other, letter, mark, number, space, newline };

namespace detail {
struct KindTable {
  Kind of[256]{};
  constexpr KindTable() {
    for (int p = 0; p < 256; ++p) {
      const auto category = static_cast<Category>(p & 31);
      if ((p & 32) != 0) {
        of[p] = Kind::space;
      } else if (category >= Category::Ll && category <= Category::Lu) {
        of[p] = Kind::letter;
      } else if (category >= Category::Mc && category <= Category::Mn) {
        of[p] = Kind::mark;
      } else if (category >= Category::Nd && category <= Category::No) {
        of[p] = Kind::number;
      }
    }
  }
};
inline constexpr KindTable kKinds;
struct AsciiKinds {
  Kind of[128]{};
  constexpr AsciiKinds() {
    for (int c = 0; c < 128; ++c) {
      if (c == '\n' || c == '\r') {
        of[c] = Kind::newline;
      } else if ((c >= '\t' && c <= '\r') || c == ' ') {
        of[c] = Kind::space;
      } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        of[c] = Kind::letter;
      } else if (c >= '0' && c <= '9') {
        of[c] = Kind::number;
      }
    }
  }
};
inline constexpr AsciiKinds kAsciiKinds;
}  // namespace detail

/// The kind of a code point; `\r` and `\n` are newlines, every other White_Space is a space.
inline Kind kind(char32_t c) {
  return c < 128 ? detail::kAsciiKinds.of[c] : detail::kKinds.of[property(c)];
}

}  // namespace lmms::text::unicode
