#pragma once
/// UTF-8: what is valid, and what stands in for what is not.
#include <cstdint>
#include <string>
#include <string_view>

namespace lmms::text::unicode {

/// Length of the longest valid prefix.
size_t valid_prefix(std::string_view text);

/// The text with each maximal subpart of an invalid sequence (Unicode 16, section 3.9, table 3-8)
/// replaced by U+FFFD: what Python's errors="replace" and Rust's from_utf8_lossy give.
std::string replace_invalid(std::string_view text);

void append(std::string& text, char32_t c);

/// The character at `at` < end of valid UTF-8; moves `at` behind it.
inline char32_t next(const char*& at) {
  const auto byte = [&](int i) { return static_cast<uint8_t>(at[i]); };
  const char32_t lead = byte(0);
  if (lead < 0x80) {
    at += 1;
    return lead;
  }
  if (lead < 0xE0) {
    const char32_t c = (lead & 0x1F) << 6 | (byte(1) & 0x3F);
    at += 2;
    return c;
  }
  if (lead < 0xF0) {
    const char32_t c = (lead & 0x0F) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3F);
    at += 3;
    return c;
  }
  const char32_t c =
      (lead & 0x07) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3F);
  at += 4;
  return c;
}

/// The character that ends before `at`, in valid UTF-8 that begins at or before it; moves `at` to
/// its start.
inline char32_t previous(const char*& at) {
  do {
    --at;
  } while ((static_cast<uint8_t>(*at) & 0xC0) == 0x80);
  const char* start = at;
  return next(start);
}

}  // namespace lmms::text::unicode
