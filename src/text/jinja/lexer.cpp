#include "text/jinja/lexer.h"

#include <algorithm>
#include <charconv>

#include "core/format.h"
#include "text/jinja/strings.h"
#include "text/jinja/syntax.h"
#include "text/unicode/categories.h"
#include "text/unicode/utf8.h"

namespace lmms::text::jinja {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/// The number of digits of `base` in front, at most `most`, and their value.
struct Digits {
  size_t count = 0;
  uint32_t value = 0;
};
Digits digits_of(std::string_view text, size_t most, int base) {
  Digits out;
  const char* const end = text.data() + std::min(text.size(), most);
  out.count =
      static_cast<size_t>(std::from_chars(text.data(), end, out.value, base).ptr - text.data());
  return out;
}

class Lexer {
 public:
  Lexer(std::string_view source, std::deque<std::string>& strings)
      : source_(source), strings_(strings) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) data();
    push(Token::Kind::end, source_.size(), {});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] static void fail(size_t at, std::string what, std::string fix = "") {
    throw SyntaxFault{at, std::move(what), std::move(fix)};
  }

  std::string_view rest() const { return source_.substr(at_); }
  bool begins(std::string_view text) const { return rest().starts_with(text); }

  Token& push(Token::Kind kind, size_t at, std::string_view text) {
    return tokens_.emplace_back(Token{kind, static_cast<uint32_t>(at), text});
  }

  void skip_space() {
    const std::string_view after = strip(rest(), Side::left);
    at_ = source_.size() - after.size();
  }

  /// Text in front of a tag, without what the tag takes away.
  void push_data(size_t end, char sign, bool strips_line) {
    std::string_view text = source_.substr(at_, end - at_);
    if (sign == '-') {
      text = strip(text, Side::right);
    } else if (sign != '+' && strips_line) {
      const size_t line = text.rfind('\n') + 1;  // 0 without one
      const bool starts = line > 0 || line_starting_;
      if (starts && strip(text.substr(line), Side::left).empty()) text = text.substr(0, line);
    }
    if (!text.empty()) push(Token::Kind::data, at_, text);
  }

  char take_sign() {
    const char sign = at_ < source_.size() ? source_[at_] : '\0';
    if (sign != '-' && sign != '+') return '\0';
    ++at_;
    return sign;
  }

  void data() {
    size_t tag = at_;
    for (;; ++tag) {
      tag = source_.find('{', tag);
      if (tag == source_.npos || tag + 1 == source_.size()) return end_of_data();
      const char next = source_[tag + 1];
      if (next == '{' || next == '%' || next == '#') break;
    }
    const char kind = source_[tag + 1];
    const size_t begin = at_;
    at_ = tag + 2;
    const char sign = take_sign();
    const size_t inside = at_;
    at_ = begin;
    push_data(tag, sign, /*strips_line=*/kind != '{');
    at_ = inside;
    line_starting_ = false;
    if (kind == '#') return comment(tag);
    if (kind == '%' && raw(tag)) return;
    push(kind == '{' ? Token::Kind::variable_begin : Token::Kind::block_begin, tag, {});
    this->tag(tag, kind == '{');
  }

  void end_of_data() {
    push_data(source_.size(), '+', false);
    at_ = source_.size();
  }

  /// Behind the sign and delimiter that end a tag: the white space that they take.
  void end_tag(char sign, bool takes_break) {
    const size_t end = at_;
    if (sign == '-') {
      skip_space();
    } else if (sign != '+' && takes_break && begins("\n")) {
      ++at_;
    }
    line_starting_ = at_ > end && source_[at_ - 1] == '\n';
  }

  void comment(size_t begin) {
    const size_t end = source_.find("#}", at_);
    if (end == source_.npos) fail(begin, "a comment that does not end", "close it with #}");
    const char before = end > at_ ? source_[end - 1] : '\0';
    at_ = end + 2;
    end_tag(before, /*takes_break=*/true);
  }

  /// Whether a tag of `name` alone goes on here, as " raw %}"; moves behind it.
  bool take_lone(std::string_view name, bool takes_break) {
    const size_t begin = at_;
    skip_space();
    bool found = begins(name);
    if (found) {
      at_ += name.size();
      skip_space();
      const char sign = begins("-%}") ? '-' : begins("+%}") && takes_break ? '+' : '\0';
      if (sign != '\0') ++at_;
      found = begins("%}");
      if (found) {
        at_ += 2;
        end_tag(sign, takes_break);
      }
    }
    if (!found) at_ = begin;
    return found;
  }

  bool raw(size_t begin) {
    if (!take_lone("raw", /*takes_break=*/false)) return false;
    const size_t inside = at_;
    const bool starts = line_starting_;
    for (size_t end = source_.find("{%", at_); end != source_.npos;
         end = source_.find("{%", end + 1)) {
      at_ = end + 2;
      const char sign = take_sign();
      if (!take_lone("endraw", /*takes_break=*/true)) continue;
      const size_t behind = at_;
      const bool line = std::exchange(line_starting_, starts);
      at_ = inside;
      push_data(end, sign, /*strips_line=*/true);
      at_ = behind;
      line_starting_ = line;
      return true;
    }
    fail(begin, "{% raw %} that does not end", "close it with {% endraw %}");
  }

  /// The tokens up to the end of a tag.
  void tag(size_t begin, bool variable) {
    std::string open;  // the brackets that are to be closed
    while (true) {
      skip_space();
      if (at_ >= source_.size())
        fail(begin, variable ? "{{ that does not end" : "{% that does not end",
             variable ? "close it with }}" : "close it with %}");
      if (open.empty() && end_of_tag(variable)) return;
      const size_t at = at_;
      const char c = source_[at_];
      if (is_digit(c)) {
        number();
      } else if (is_letter(c)) {
        while (at_ < source_.size() && (is_letter(source_[at_]) || is_digit(source_[at_]))) ++at_;
        push(Token::Kind::name, at, source_.substr(at, at_ - at));
      } else if (c == '\'' || c == '"') {
        string(c);
      } else {
        op(open);
      }
    }
  }

  bool end_of_tag(bool variable) {
    const std::string_view end = variable ? "}}" : "%}";
    const char sign = source_[at_];
    const bool is_signed =
        (sign == '-' || (sign == '+' && !variable)) && rest().substr(1).starts_with(end);
    if (!is_signed && !begins(end)) return false;
    push(variable ? Token::Kind::variable_end : Token::Kind::block_end, at_, {});
    at_ += is_signed ? 3 : 2;
    end_tag(is_signed ? sign : '\0', /*takes_break=*/!variable);
    return true;
  }

  void number() {
    const size_t begin = at_;
    const auto digits = [&] {
      while (at_ < source_.size() &&
             (is_digit(source_[at_]) ||
              (source_[at_] == '_' && at_ + 1 < source_.size() && is_digit(source_[at_ + 1]))))
        ++at_;
    };
    const auto digit_at = [&](size_t at) { return at < source_.size() && is_digit(source_[at]); };
    digits();
    bool is_real = false;
    const bool behind_dot = begin > 0 && source_[begin - 1] == '.';
    if (!behind_dot && begins(".") && digit_at(at_ + 1)) {
      is_real = true;
      ++at_;
      digits();
    }
    if (!behind_dot && (begins("e") || begins("E"))) {
      const size_t sign =
          at_ + 1 < source_.size() && (source_[at_ + 1] == '+' || source_[at_ + 1] == '-');
      if (digit_at(at_ + 1 + sign)) {
        is_real = true;
        at_ += 1 + sign;
        digits();
      }
    }
    std::string written(source_.substr(begin, at_ - begin));
    std::erase(written, '_');
    Token& token = push(is_real ? Token::Kind::real : Token::Kind::integer, begin,
                        source_.substr(begin, at_ - begin));
    const char* const end = written.data() + written.size();
    const auto error = is_real ? std::from_chars(written.data(), end, token.real).ec
                               : std::from_chars(written.data(), end, token.integer).ec;
    const bool odd = !is_real && written.size() > 1 && written[0] == '0' &&
                     written.find_first_not_of('0') != written.npos;
    if (error != std::errc() || odd || (at_ < source_.size() && is_letter(source_[at_])))
      fail(begin, fmt::format("'{}': only decimal numbers of 64 bits are read", written));
  }

  void string(char quote) {
    const size_t begin = at_++;
    std::string text;
    while (true) {
      if (at_ >= source_.size()) fail(begin, "a string that does not end", "close its quotes");
      const char c = source_[at_];
      if (c == quote) break;
      if (c == '\\') {
        escape(begin, text);
      } else {
        text += c;
        ++at_;
      }
    }
    ++at_;
    strings_.push_back(std::move(text));
    push(Token::Kind::string, begin, strings_.back());
  }

  /// As Python's unicode-escape; one that it does not know stays as it is.
  void escape(size_t begin, std::string& out) {
    if (at_ + 1 >= source_.size()) fail(begin, "a string that does not end", "close its quotes");
    const char c = source_[at_ + 1];
    at_ += 2;
    constexpr std::string_view kLetters = "\\'\"abfnrtv", kMeanings = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t known = kLetters.find(c); known != kLetters.npos) {
      out += kMeanings[known];
      return;
    }
    if (c == '\n') return;
    const size_t width = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (width > 0) {
      const Digits code = digits_of(rest(), width, 16);
      const bool is_character =
          code.value <= unicode::kLastCodePoint && (code.value < 0xD800 || code.value > 0xDFFF);
      if (code.count != width || !is_character)
        fail(at_ - 2, fmt::format("\\{} is to be followed by {} hexadecimal digits of a character",
                                  c, width));
      unicode::append(out, code.value);
      at_ += width;
    } else if (c >= '0' && c <= '7') {
      const Digits code = digits_of(source_.substr(at_ - 1), 3, 8);
      unicode::append(out, code.value);
      at_ += code.count - 1;
    } else if (c == 'N') {
      fail(at_ - 2, "\\N{...} is not read", "write the character itself");
    } else {
      out += '\\';
      --at_;
    }
  }

  void op(std::string& open) {
    constexpr std::string_view kTwo[] = {"//", "**", "==", "!=", ">=", "<="};
    for (const std::string_view two : kTwo) {
      if (!begins(two)) continue;
      push(Token::Kind::op, at_, source_.substr(at_, 2));
      at_ += 2;
      return;
    }
    const char c = source_[at_];
    constexpr std::string_view kOne = "+-/*%~[](){}><=.:|,;";
    if (kOne.find(c) == kOne.npos) {
      const char* end = source_.data() + at_;
      unicode::next(end);
      fail(at_, fmt::format("unexpected '{}'",
                            source_.substr(at_, static_cast<size_t>(end - source_.data()) - at_)));
    }
    constexpr std::string_view kOpen = "([{", kClose = ")]}";
    if (const size_t which = kOpen.find(c); which != kOpen.npos) open += kClose[which];
    if (kClose.find(c) != kClose.npos) {
      if (open.empty()) fail(at_, fmt::format("unexpected '{}'", c));
      if (open.back() != c)
        fail(at_, fmt::format("unexpected '{}', expected '{}'", c, open.back()));
      open.pop_back();
    }
    push(Token::Kind::op, at_, source_.substr(at_, 1));
    ++at_;
  }

  std::string_view source_;
  std::deque<std::string>& strings_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  bool line_starting_ = true;
};

}  // namespace

std::string normalized_source(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

std::vector<Token> tokens_of(std::string_view source, std::deque<std::string>& strings) {
  return Lexer(source, strings).run();
}

}  // namespace lmms::text::jinja
