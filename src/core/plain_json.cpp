#include "core/plain_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>

namespace lmms {
namespace {

constexpr std::string_view kNotFinite = "\"not a finite number: ";  // with the string's quote

void append_not_finite(std::string& out, std::string_view written) {
  (out += kNotFinite) += written;
  out += '"';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool belongs_to_number(char c) {
  return is_digit(c) || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
}

/// The string that begins at the quote in front of `text`, with both quotes, or what there is of
/// it.
std::string_view take_string(std::string_view text) {
  size_t end = 1;
  while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
  return text.substr(0, end + 1);
}

bool fits_64_bits(std::string_view integer) {
  const char *first = integer.data(), *last = first + integer.size();
  int64_t negative = 0;
  uint64_t positive = 0;
  const auto end = integer.front() == '-' ? std::from_chars(first, last, negative)
                                          : std::from_chars(first, last, positive);
  return end.ec == std::errc();
}

void append_number(std::string& out, std::string_view number) {
  constexpr size_t kFits = 18;  // so many characters are no number beyond 64 bits without an 'e'
  const bool whole = number.find_first_of(".eE") == std::string_view::npos;
  if (number.size() <= kFits && number.find_first_of("eE") == std::string_view::npos) {
    out += number;
  } else if (!std::isfinite(std::strtod(std::string(number).c_str(), nullptr))) {
    append_not_finite(out, number);
  } else {
    out += number;
    if (whole && !fits_64_bits(number)) out += "e0";
  }
}

}  // namespace

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  return text.starts_with(kMark) ? text.substr(kMark.size()) : text;
}

std::string plain_json(std::string_view text) {
  text = without_byte_order_mark(text);
  std::string out;
  out.reserve(text.size() + 64);
  while (!text.empty()) {
    size_t length = 1;
    const char c = text.front();
    if (c == '"') {
      const std::string_view string = take_string(text);
      out += string;
      length = string.size();
    } else if (c == '-' || is_digit(c)) {
      while (length < text.size() && belongs_to_number(text[length])) ++length;
      if (text.starts_with("-Infinity")) {
        length = 9;
        append_not_finite(out, "-Infinity");
      } else {
        append_number(out, text.substr(0, length));
      }
    } else if (text.starts_with("NaN")) {
      length = 3;
      append_not_finite(out, "NaN");
    } else if (text.starts_with("Infinity")) {
      length = 8;
      append_not_finite(out, "Infinity");
    } else {
      out += c;
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string python_json(std::string_view text) {
  std::string out;
  for (size_t at; (at = text.find(kNotFinite)) != std::string_view::npos;) {
    out += text.substr(0, at);
    text.remove_prefix(at + kNotFinite.size());
    const size_t end = std::min(text.find('"'), text.size());
    out += text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out += text;
}

}  // namespace lmms
