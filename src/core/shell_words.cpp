#include "core/shell_words.h"

namespace lmms {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Reads one word from `at` on, which it moves behind it.
ShellWord read_word(std::string_view line, size_t& at) {
  ShellWord word{.begin = at, .end = at, .text = "", .open = false};
  char quote = 0;
  for (; at < line.size() && (quote != 0 || !is_blank(line[at])); ++at) {
    const char c = line[at];
    const bool last = at + 1 == line.size();
    if (c == '\\' && quote == 0) {
      word.open = last;
      if (!last) word.text += line[++at];
    } else if (c == '\\' && quote == '"' && !last &&
               (line[at + 1] == '"' || line[at + 1] == '\\')) {
      word.text += line[++at];
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else {
      word.text += c;
    }
  }
  word.end = at;
  word.open = word.open || quote != 0;
  return word;
}

}  // namespace

std::vector<ShellWord> shell_words(std::string_view line) {
  std::vector<ShellWord> words;
  for (size_t at = 0;;) {
    while (at < line.size() && is_blank(line[at])) ++at;
    if (at == line.size()) return words;
    words.push_back(read_word(line, at));
  }
}

std::string shell_escaped(std::string_view text) {
  constexpr std::string_view kSpecial = " \t\\'\"`$&|;<>()[]{}*?!#";
  std::string out;
  for (const char c : text) {
    if (kSpecial.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace lmms
