#include "core/config/json_text.h"

#include <string_view>

namespace lmms::config {
namespace {

/// Line ends stay.
void blank(std::string& text, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i)
    if (text[i] != '\n' && text[i] != '\r') text[i] = ' ';
}

bool is_one_of(char c, std::string_view characters) {
  return characters.find(c) != std::string_view::npos;
}

/// Whether no word goes on at a place: its `//` (a URL without quotes) begins no comment, its `'`
/// (don't) no text. A colon ends a word only behind a quote: `"a":/* b */ 1`, but `http://a`.
bool is_between_words(const std::string& text, size_t at) {
  if (at == 0 || is_one_of(text[at - 1], " \t\r\n,{}[]\"'")) return true;
  return text[at - 1] == ':' && at > 1 && is_one_of(text[at - 2], "\"'");
}

bool begins_text(const std::string& text, size_t at) {
  return text[at] == '"' || (text[at] == '\'' && is_between_words(text, at));
}

/// Where the text that begins with a quote ends, behind its closing quote.
size_t end_of_text(const std::string& text, size_t begin) {
  const char quote = text[begin];
  for (size_t i = begin + 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      const bool escaped = quote == '\'' && i + 1 < text.size() && text[i + 1] == quote;
      if (!escaped) return i + 1;
      ++i;
    }
  }
  return text.size();
}

bool begins_comment(const std::string& text, size_t at) {
  return at + 1 < text.size() && text[at] == '/' && is_one_of(text[at + 1], "/*") &&
         is_between_words(text, at);
}

size_t end_of_comment(const std::string& text, size_t begin) {
  const bool line = text[begin + 1] == '/';
  const size_t end = line ? text.find('\n', begin) : text.find("*/", begin + 2);
  if (end == std::string::npos) return text.size();
  return line ? end : end + 2;
}

}  // namespace

std::string json_as_yaml(std::string text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return text;
  const bool commented = begins_comment(text, first);
  if (text[first] != '{' && text[first] != '[' && !commented) return text;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    if (begins_text(text, i)) {
      end = end_of_text(text, i);
    } else if (begins_comment(text, i)) {
      end = end_of_comment(text, i);
      blank(text, i, end);
    } else if (text[i] == '\t') {
      text[i] = ' ';
    }
    i = end;
  }
  return text;
}

}  // namespace lmms::config
