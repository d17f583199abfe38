#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <bitset>
#include <optional>

#include "core/format.h"
#include "text/unicode/categories.h"
#include "text/unicode/utf8.h"

namespace lmms::text {
namespace {

using unicode::Category;
using Categories = std::bitset<unicode::kCategories>;

constexpr std::string_view kCategoryNames =
    "CnCcCfCoCsLlLmLoLtLuMcMeMnNdNlNoPcPdPePfPiPoPsScSkSmSoZlZpZs";

/// Categories called "L", "Lu", ...; nullopt for other properties.
std::optional<Categories> categories_of(std::string_view name) {
  Categories chosen;
  for (size_t i = 0; i < unicode::kCategories; ++i) {
    const std::string_view known = kCategoryNames.substr(2 * i, 2);
    if (!name.empty() && name.size() <= 2 && known.substr(0, name.size()) == name) chosen.set(i);
  }
  if (chosen.none()) return std::nullopt;
  return chosen;
}

/// The inside of a PCRE2 class with the code points that `belongs` holds. Surrogates are no
/// characters.
template <class Belongs>
std::string ranges(const Belongs& belongs) {
  std::string text;
  char32_t start = 0;
  bool open = false;
  const auto close = [&](char32_t last) {
    text += start == last ? fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(start))
                          : fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<uint32_t>(start),
                                        static_cast<uint32_t>(last));
    open = false;
  };
  for (char32_t c = 0; c <= unicode::kLastCodePoint; ++c) {
    const bool inside = (c < 0xD800 || c > 0xDFFF) && belongs(c);
    if (inside && !open) {
      start = c;
      open = true;
    } else if (!inside && open) {
      close(c - 1);
    }
  }
  if (open) close(unicode::kLastCodePoint);
  return text;
}

std::string category_ranges(Categories chosen, bool negated) {
  return ranges([&](char32_t c) {
    return chosen.test(static_cast<size_t>(unicode::category(c))) != negated;
  });
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : in_(pattern) {}

  Result<std::string> run() {
    while (at_ < in_.size() && fault_.empty()) step();
    if (fault_.empty() && in_class_) fault_ = "a class is not closed";
    if (!fault_.empty()) {
      return Fault{"", fmt::format("the regular expression '{}': {}", in_, fault_),
                   "a tokenizer.json with another pattern cannot be read yet"};
    }
    return out_;
  }

 private:
  bool ahead(std::string_view text) const { return in_.substr(at_).starts_with(text); }
  void copy(size_t count) {
    out_ += in_.substr(at_, count);
    at_ += count;
  }

  void step() {
    const char c = in_[at_];
    if (c == '\\') return escape();
    if (in_class_) return class_step(c);
    if (c == '[') {
      if (ahead("[]") || ahead("[^]")) return refuse(ahead("[]") ? "[]" : "[^]");
      in_class_ = true;
      return copy(ahead("[^") ? 2 : 1);
    }
    if (c == '(') return group();
    if (c == '^' || c == '$') return refuse(std::string(1, c));
    copy(1);
  }

  void class_step(char c) {
    if (c == ']') in_class_ = false;
    if (c == '[' || ahead("&&"))
      return refuse(c == '[' ? "a class inside a class" : "&& in a class");
    copy(1);
  }

  void group() {
    static constexpr std::array<std::string_view, 6> known = {"(?:",  "(?=",  "(?!",
                                                              "(?<=", "(?<!", "(?>"};
    for (const std::string_view open : known) {
      if (ahead(open)) return copy(open.size());
    }
    if (ahead("(?i:")) return copy(4);
    if (ahead("(?")) return refuse(std::string(in_.substr(at_, 4)));
    copy(1);
  }

  void escape() {
    if (at_ + 1 >= in_.size()) return refuse("\\ at the end");
    const char kind = in_[at_ + 1];
    if (kind == 'p' || kind == 'P') return property(kind == 'P');
    if (kind == 's' || kind == 'S') {
      at_ += 2;
      return put_class(ranges([&](char32_t c) { return unicode::is_space(c) == (kind == 's'); }));
    }
    if (kind == 'd' || kind == 'D') {
      at_ += 2;
      Categories digits;
      digits.set(static_cast<size_t>(Category::Nd));
      return put_class(category_ranges(digits, kind == 'D'));
    }
    const bool letter = (kind >= 'a' && kind <= 'z') || (kind >= 'A' && kind <= 'Z') ||
                        (kind >= '0' && kind <= '9');
    const bool control = kind == 'r' || kind == 'n' || kind == 't' || kind == 'f' || kind == 'v';
    if (letter && !control) return refuse(std::string("\\") + kind);
    if (kind == 'v') {  // a vertical tab here, any vertical space in PCRE2
      at_ += 2;
      out_ += "\\x{b}";
      return;
    }
    copy(2);
  }

  void property(bool negated) {
    const size_t close = in_.find('}', at_);
    if (at_ + 2 >= in_.size() || in_[at_ + 2] != '{' || close == std::string_view::npos)
      return refuse("\\p without {..}");
    std::string_view name = in_.substr(at_ + 3, close - at_ - 3);
    if (name.starts_with('^')) {
      negated = !negated;
      name.remove_prefix(1);
    }
    const auto chosen = categories_of(name);
    if (!chosen) return refuse(fmt::format("the property \\p{{{}}}", name));
    at_ = close + 1;
    put_class(category_ranges(*chosen, negated));
  }

  void put_class(const std::string& inside) { out_ += in_class_ ? inside : "[" + inside + "]"; }
  void refuse(const std::string& what) { fault_ = what + " is not supported"; }

  std::string_view in_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
  std::string fault_;
};

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

}  // namespace

Result<std::string> translate_regex(std::string_view pattern) {
  return Translator(pattern).run();
}

void Regex::Free::operator()(void* code) const {
  pcre2_code_free(static_cast<pcre2_code*>(code));
}

Result<Regex> Regex::compile(std::string_view pattern) {
  auto translated = translate_regex(pattern);
  if (!translated) return translated.fault();
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated->data()), translated->size(),
                    PCRE2_UTF | PCRE2_NO_AUTO_CAPTURE, &error, &offset, nullptr);
  if (code == nullptr) {
    return Fault{
        "", fmt::format("the regular expression '{}' is not valid: {}", pattern, message_of(error)),
        ""};
  }
  pcre2_jit_compile(
      code, PCRE2_JIT_COMPLETE);  // where the machine has no JIT the interpreter matches the same
  return Regex(std::string(pattern), code);
}

void Regex::find_all(std::string_view text,
                     const std::function<void(size_t, size_t)>& found) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const std::unique_ptr<pcre2_match_data, FreeMatch> data(
      pcre2_match_data_create_from_pattern(code, nullptr));
  const std::unique_ptr<pcre2_match_context, FreeMatch> context(
      pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(context.get(), 10'000'000);
  pcre2_set_heap_limit(context.get(), 256 * 1024);  // KiB
  const auto match = [&](size_t at, uint32_t options) {
    return pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), at,
                       PCRE2_NO_UTF_CHECK | options, data.get(), context.get());
  };
  for (size_t at = 0; at < text.size();) {
    int count = match(at, 0);
    if (count == PCRE2_ERROR_JIT_STACKLIMIT) count = match(at, PCRE2_NO_JIT);
    if (count == PCRE2_ERROR_NOMATCH) return;
    if (count < 0) {
      throw Error("",
                  fmt::format("the tokenizer's pattern '{}' failed on a text of {} bytes: {}",
                              pattern_, text.size(), message_of(count)),
                  "split such texts into shorter ones");
    }
    const PCRE2_SIZE* span = pcre2_get_ovector_pointer(data.get());
    if (span[0] < span[1]) {
      found(span[0], span[1]);
      at = span[1];
      continue;
    }
    const char* behind = text.data() + span[1];
    if (span[1] >= text.size()) return;
    unicode::next(behind);
    at = static_cast<size_t>(behind - text.data());
  }
}

}  // namespace lmms::text
