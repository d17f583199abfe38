#include "data/python_json.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>

#include "core/format.h"
#include "data/unreadable.h"

namespace lmms::data {
namespace {

using json = Json;

/// What ends the parse; kept inside this file.
struct Broken {
  size_t at;
  std::string what;
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_utf8(uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

class Parser {
 public:
  Parser(std::string_view text, int max_depth) : text_(text), max_depth_(max_depth) {}

  json whole() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    json result = value(0);
    skip_space();
    if (at_ < text_.size()) fail("text after the end of the value");
    return result;
  }

 private:
  struct Text {
    std::string text;
    std::optional<std::string> why;  ///< it is no valid text
  };

  [[noreturn]] void fail(std::string what) const { throw Broken{at_, std::move(what)}; }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != text_.npos) ++at_;
  }
  /// The next character behind white space; '\0' at the end.
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  /// "expected ..., found ..." at the place.
  [[noreturn]] void expected(std::string_view what) const {
    if (at_ >= text_.size()) fail(fmt::format("expected {}, found the end of the text", what));
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c > 0x20 && c < 0x7F) fail(fmt::format("expected {}, found '{}'", what, text_[at_]));
    fail(fmt::format("expected {}, found byte {:#04x}", what, c));
  }

  json value(int depth) {
    switch (peek()) {
      case '{':
        return object(depth + 1);
      case '[':
        return array(depth + 1);
      case '"': {
        Text read = string();
        return read.why ? unreadable_value(*read.why) : json(std::move(read.text));
      }
      case 't':
        if (take("true")) return true;
        break;
      case 'f':
        if (take("false")) return false;
        break;
      case 'n':
        if (take("null")) return nullptr;
        break;
      case 'N':
        if (take("NaN")) return nullptr;
        break;
      case 'I':
        if (take("Infinity")) return nullptr;
        break;
      case '-':
        if (take("-Infinity")) return nullptr;
        return number();
      default:
        if (at_ < text_.size() && is_digit(text_[at_])) return number();
    }
    expected("a value");
  }

  void enter(int depth) {
    if (depth > max_depth_) fail(fmt::format("nested deeper than {}", max_depth_));
    ++at_;
  }

  json object(int depth) {
    enter(depth);
    ObjectBuilder object;
    if (peek() == '}') {
      ++at_;
      return object.take();
    }
    for (;;) {
      if (peek() != '"') expected("a key in quotes");
      std::string key = string().text;
      if (peek() != ':') expected("':' after the key");
      ++at_;
      object.put(std::move(key), value(depth));
      if (peek() == '}') break;
      if (peek() != ',') expected("',' or '}'");
      ++at_;
    }
    ++at_;
    return object.take();
  }

  json array(int depth) {
    enter(depth);
    json list = json::array();
    if (peek() == ']') {
      ++at_;
      return list;
    }
    for (;;) {
      list.push_back(value(depth));
      if (peek() == ']') break;
      if (peek() != ',') expected("',' or ']'");
      ++at_;
    }
    ++at_;
    return list;
  }

  json number() {
    const size_t begin = at_;
    take("-");
    if (at_ >= text_.size() || !is_digit(text_[at_])) expected("a digit");
    if (!take("0")) skip_digits();
    bool whole = true;
    if (take(".")) {
      whole = false;
      if (!skip_digits()) expected("a digit");
    }
    if (take("e") || take("E")) {
      whole = false;
      if (!take("+")) take("-");
      if (!skip_digits()) expected("a digit");
    }
    const std::string digits(text_.substr(begin, at_ - begin));
    if (whole) {
      int64_t small = 0;
      uint64_t large = 0;
      const char* end = digits.data() + digits.size();
      if (std::from_chars(digits.data(), end, small).ec == std::errc()) return small;
      if (std::from_chars(digits.data(), end, large).ec == std::errc()) return large;
    }
    const double real = std::strtod(digits.c_str(), nullptr);
    return std::isfinite(real) ? json(real) : json(nullptr);
  }

  bool skip_digits() {
    const size_t begin = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    return at_ > begin;
  }

  Text string() {
    const size_t begin = at_++;
    Text out;
    for (;;) {
      const size_t plain = at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
             static_cast<unsigned char>(text_[at_]) >= 0x20) {
        ++at_;
      }
      if (!simdjson::validate_utf8(text_.data() + plain, at_ - plain)) {
        at_ = begin;
        fail("a string that is not valid UTF-8");
      }
      out.text += text_.substr(plain, at_ - plain);
      if (at_ >= text_.size()) {
        at_ = begin;
        fail("a string that is never closed");
      }
      if (take("\"")) return out;
      if (text_[at_] != '\\') fail("a control character inside a string; expected its escape");
      escape(out);
    }
  }

  void escape(Text& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
    const char name = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (name == 'u') return unicode_escape(out);
    const size_t which = kNames.find(name);
    if (name == '\0' || which == kNames.npos) fail("an unknown escape inside a string");
    out.text += kValues[which];
    at_ += 2;
  }

  /// \uXXXX at the place, which is then passed; nullopt if there is none.
  std::optional<uint32_t> code_unit() {
    const auto text = text_.substr(at_, 6);
    if (text.size() < 6 || !text.starts_with("\\u")) return std::nullopt;
    uint32_t unit = 0;
    const auto [end, error] = std::from_chars(text.data() + 2, text.data() + 6, unit, 16);
    if (error != std::errc() || end != text.data() + 6) return std::nullopt;
    at_ += 6;
    return unit;
  }

  void unicode_escape(Text& out) {
    const auto is_low = [](uint32_t unit) { return unit >= 0xDC00 && unit < 0xE000; };
    const auto first = code_unit();
    if (!first) fail("expected four hexadecimal digits behind \\u");
    uint32_t code = *first;
    if (code >= 0xD800 && code < 0xDC00) {
      const size_t behind = at_;
      const auto second = code_unit();
      if (second && is_low(*second)) {
        code = 0x10000 + ((code - 0xD800) << 10) + (*second - 0xDC00);
      } else {
        at_ = behind;
      }
    }
    if (code >= 0xD800 && code < 0xE000) {
      if (!out.why) out.why = fmt::format("\\u{:04x}, half of a pair of surrogates", code);
      code = 0xFFFD;
    }
    append_utf8(code, out.text);
  }

  std::string_view text_;
  size_t at_ = 0;
  int max_depth_;
};

}  // namespace

Result<json> parse_python_json(std::string_view text, int max_depth) {
  try {
    return Parser(text, max_depth).whole();
  } catch (const Broken& broken) {
    const auto before = text.substr(0, broken.at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
    return Fault{"",
                 fmt::format("not valid JSON: line {}, column {}: {}", line, broken.at - start + 1,
                             broken.what),
                 ""};
  }
}

}  // namespace lmms::data
