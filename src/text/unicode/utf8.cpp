#include "text/unicode/utf8.h"

#include <bit>
#include <cstring>

namespace lmms::text::unicode {
namespace {

struct Step {
  size_t length;  ///< bytes of the character, or of the maximal subpart that is not one; 1 at least
  bool valid;
};

/// Table 3-7 of the standard: the second byte has its own range after E0, ED, F0 and F4.
Step step(const uint8_t* at, size_t left) {
  const uint8_t lead = at[0];
  if (lead < 0x80) return {1, true};
  if (lead < 0xC2 || lead > 0xF4) return {1, false};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (left < 2 || at[1] < low || at[1] > high) return {1, false};
  for (size_t i = 2; i < length; ++i) {
    if (i >= left || (at[i] & 0xC0) != 0x80) return {i, false};
  }
  return {length, true};
}

}  // namespace

size_t valid_prefix(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  size_t at = 0;
  while (at < text.size()) {
    if (at + 8 <= text.size()) {
      uint64_t word;
      std::memcpy(&word, bytes + at, 8);
      const uint64_t high = word & 0x8080808080808080u;
      if (high == 0) {
        at += 8;
        continue;
      }
      at += static_cast<size_t>(std::countr_zero(high)) / 8;
    }
    const Step s = step(bytes + at, text.size() - at);
    if (!s.valid) return at;
    at += s.length;
  }
  return at;
}

std::string replace_invalid(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  while (true) {
    const size_t valid = valid_prefix(text);
    out.append(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) return out;
    out += "\xEF\xBF\xBD";
    text.remove_prefix(step(reinterpret_cast<const uint8_t*>(text.data()), text.size()).length);
  }
}

void append(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

}  // namespace lmms::text::unicode
