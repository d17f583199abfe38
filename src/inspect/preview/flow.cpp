#include "inspect/preview/flow.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "inspect/preview/token_text.h"
#include "text/unicode/utf8.h"

namespace lmms::inspect::preview {
namespace {

namespace unicode = text::unicode;

/// A word that is wider than a line may be broken behind one of these.
bool separates(std::string_view letter) {
  return letter.size() == 1 && std::string_view("/-_.,:;=&?|").find(letter) != letter.npos;
}

}  // namespace

Flow::Flow(int columns, std::string_view indent)
    : indent_(indent), columns_(std::max(columns - width_of(indent), 2)) {}

void Flow::add(std::string_view style, std::string_view text) {
  const std::string valid = unicode::replace_invalid(text);
  for (const char *at = valid.data(), *const end = at + valid.size(); at < end;) {
    const char* const begin = at;
    const char32_t c = unicode::next(at);
    add_letter(style, {begin, static_cast<size_t>(at - begin)}, c);
  }
}

void Flow::add_letter(std::string_view style, std::string_view text, char32_t c) {
  if (c == '\n') {
    end_word();
    spaces_.clear();
    end_line();
    return;
  }
  if (c == ' ') {
    end_word();
    spaces_.push_back({style, " ", 1});
    return;
  }
  const int columns = width_of(c);
  if (!word_.empty()) {
    Letter& last = word_.back();
    if (columns == 0) {
      last.text += text;
      return;
    }
    // A line may end beside a wide character, but what closes stays with what it closes.
    const bool wide = columns == 2 || last.columns == 2;
    const bool joined = last.text.ends_with("\u200D") || last.text == "⟦";
    if (wide && !joined && text != "⟧" && text != "↵") end_word();
  }
  word_.push_back({style, std::string(text), columns});
}

void Flow::end_word() {
  if (word_.empty()) return;
  const int word = std::accumulate(word_.begin(), word_.end(), 0,
                                   [](int sum, const Letter& l) { return sum + l.columns; });
  const int gap = static_cast<int>(spaces_.size());
  const int room = columns_ - column_ - gap;
  if (begun_ && word > room && (word <= columns_ || room < columns_ / 3)) {
    end_line();
    spaces_.clear();
  }
  if (!begun_) {  // spaces that indent a line leave room for its first word
    const int most = word <= columns_ ? columns_ - word : columns_ / 2;
    spaces_.resize(std::min(spaces_.size(), static_cast<size_t>(most)));
  }
  for (const Letter& space : spaces_) put(space);
  spaces_.clear();
  put_broken();
  word_.clear();
}

/// The word, in several lines where it must be.
void Flow::put_broken() {
  for (size_t begin = 0; begin < word_.size();) {
    size_t end = begin;
    for (int room = columns_ - column_; end < word_.size() && word_[end].columns <= room; ++end)
      room -= word_[end].columns;
    if (end < word_.size()) {
      for (size_t at = end; at > begin + (end - begin) / 2; --at) {
        if (!separates(word_[at - 1].text)) continue;
        end = at;
        break;
      }
    }
    for (; begin < end; ++begin) put(word_[begin]);
    if (begin < word_.size()) end_line();
  }
}

void Flow::put(const Letter& letter) {
  if (!begun_) out_ += indent_;
  begun_ = true;
  set_style(letter.style);
  out_ += letter.text;
  column_ += letter.columns;
}

void Flow::set_style(std::string_view style) {
  if (style == style_) return;
  if (!style_.empty()) out_ += "\x1b[0m";
  out_ += style;
  style_ = style;
}

void Flow::end_line() {
  set_style("");
  out_ += '\n';
  column_ = 0;
  begun_ = false;
}

std::string Flow::take() {
  end_word();
  spaces_.clear();
  if (begun_) end_line();
  return std::exchange(out_, {});
}

}  // namespace lmms::inspect::preview
