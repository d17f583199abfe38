#include "core/text_table.h"

#include <algorithm>
#include <cctype>

#include "core/format.h"

namespace lmms {
namespace {

// Whether a line may end at this blank: not between a number and its unit ("5.0 MiB").
bool may_break(const std::string& text, size_t blank) {
  const auto at = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  return blank == 0 || std::isdigit(at(blank - 1)) == 0 ||
         (std::isalpha(at(blank + 1)) == 0 && at(blank + 1) != '%');
}

}  // namespace

std::string render_table(const TableRows& rows, int width) {
  size_t left = 0;
  for (const auto& [name, value] : rows) left = std::max(left, name.size());
  const size_t right =
      std::max<size_t>(20, static_cast<size_t>(std::max(0, width)) -
                               std::min<size_t>(left + 3, static_cast<size_t>(width)));
  std::string out;
  for (const auto& [name, value] : rows) {
    std::string label = name;
    for (size_t begin = 0; begin < value.size() || begin == 0;) {
      size_t length = std::min(right, value.size() - begin);
      if (begin + length < value.size()) {
        const size_t last = value.rfind(' ', begin + length);
        size_t space = last;
        while (space != std::string::npos && space > begin && !may_break(value, space))
          space = value.rfind(' ', space - 1);
        if (space == std::string::npos || space <= begin) space = last;
        if (space != std::string::npos && space > begin) length = space - begin;
      }
      out += fmt::format("  {:<{}} {}\n", label, left, value.substr(begin, length));
      label.clear();
      begin += length;
      while (begin < value.size() && value[begin] == ' ') ++begin;
      if (value.empty()) break;
    }
  }
  return out;
}

}  // namespace lmms
