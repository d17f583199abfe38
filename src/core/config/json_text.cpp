#include "core/config/json_text.h"

#include <string_view>

namespace lmms::config {
namespace {

/// Line ends stay.
void blank(std::string& text, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i)
    if (text[i] != '\n' && text[i] != '\r') text[i] = ' ';
}

/// Where the text that begins with a quote ends, behind its closing quote.
size_t end_of_text(const std::string& text, size_t begin) {
  for (size_t i = begin + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return text.size();
}

/// A `//` inside a word (a URL without quotes) begins no comment.
bool begins_comment(const std::string& text, size_t at) {
  constexpr std::string_view kBefore = " \t\r\n,:{}[]\"";
  return at + 1 < text.size() && text[at] == '/' && (text[at + 1] == '/' || text[at + 1] == '*') &&
         (at == 0 || kBefore.find(text[at - 1]) != std::string_view::npos);
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
    if (text[i] == '"') {
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
