#include "app/draft_view.h"

#include <locale.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cwchar>

#include "app/answering.h"
#include "app/environment.h"
#include "core/format.h"
#include "core/terminal.h"
#include "text/text_stream.h"
#include "text/unicode/utf8.h"

namespace lmms::app {
namespace {

enum class Look { settled, fresh, mask, aside };

constexpr std::string_view escape_of(Look look) {
  switch (look) {
    case Look::fresh:
      return "\x1b[32m";
    case Look::mask:
    case Look::aside:
      return "\x1b[2m";
    case Look::settled:
      break;
  }
  return "";
}

/// Cells of the terminal that a character takes.
int cells_of(char32_t c) {
  static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (c < 0x300) return 1;
  if (utf8 == nullptr) return 1;
  const locale_t before = ::uselocale(utf8);
  const int cells = ::wcwidth(static_cast<wchar_t>(c));
  ::uselocale(before);
  return std::max(cells, 0);
}

/// Lines of at most so many cells, broken between characters as a terminal does.
class Lines {
 public:
  Lines(int columns, bool colour) : columns_(std::max(columns, 1)), colour_(colour) {}

  void add(const std::string& text, Look look) {
    look_ = look;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at < end) {
      const char* const begin = at;
      const char32_t c = text::unicode::next(at);
      if (c == U'\n') {
        break_line();
        continue;
      }
      const int cells = cells_of(c);
      if (used_ + cells > columns_) break_line();
      open();
      lines_.back().append(c == U'\t' ? " " : std::string(begin, at));
      used_ += cells;
    }
  }
  void break_line() {
    close();
    lines_.emplace_back();
    used_ = 0;
  }
  bool at_beginning() const { return used_ == 0; }
  size_t count() const { return lines_.size(); }
  std::vector<std::string> take() {
    close();
    return std::move(lines_);
  }

 private:
  void open() {
    if (!colour_ || open_ == look_) return;
    close();
    lines_.back() += escape_of(look_);
    open_ = look_;
  }
  void close() {
    if (open_ != Look::settled) lines_.back() += "\x1b[0m";
    open_ = Look::settled;
  }

  int columns_;
  bool colour_;
  Look look_ = Look::settled, open_ = Look::settled;
  int used_ = 0;
  std::vector<std::string> lines_{""};
};

}  // namespace

DraftScreen terminal_screen() {
  return {.write =
              [](std::string_view picture) {
                std::fwrite(picture.data(), 1, picture.size(), stdout);
                std::fflush(stdout);
              },
          .columns = [] { return columns_of(stdout, 80); },
          .rows = [] { return terminal_rows(STDOUT_FILENO, 24); },
          .colour = wants_colour(stdout)};
}

void DraftView::show(std::span<const int32_t> ids) {
  ++step_;
  const auto now = std::chrono::steady_clock::now();
  if (lines_ > 0 && now - drawn_ < screen_.pause) return;
  drawn_ = now;
  Lines lines(screen_.columns() - 1, screen_.colour);
  text::TextStream stream(tokenizer_);
  size_t settled = 0, masks = 0, first_mask = 0;
  Look look = Look::settled;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] == mask_id_) {
      lines.add(shown(stream.finish()), look);
      if (masks++ == 0) first_mask = lines.count() - 1;
      lines.add(lines.at_beginning() ? "░░░" : " ░░░", Look::mask);
      stream = text::TextStream(tokenizer_);
      continue;
    }
    ++settled;
    // nothing behind an end will be told, but masks before it may become another one
    if (std::find(stop_ids_.begin(), stop_ids_.end(), ids[i]) != stop_ids_.end()) break;
    look = i < before_.size() && before_[i] == ids[i] ? Look::settled : Look::fresh;
    if (before_.empty()) look = Look::settled;  // given
    lines.add(shown(stream.add(ids[i])), look);
  }
  lines.add(shown(stream.finish()), look);
  if (masks == 0) first_mask = lines.count() - 1;
  const auto rows = static_cast<size_t>(std::max(screen_.rows() - 1, 2));
  std::vector<std::string> all = lines.take();
  if (all.size() + 1 > rows) {
    const size_t shows = rows - 1;
    const size_t begin = std::min(first_mask - std::min(first_mask, shows / 2), all.size() - shows);
    all = {all.begin() + static_cast<int64_t>(begin),
           all.begin() + static_cast<int64_t>(begin + shows)};
  }
  Lines below(screen_.columns() - 1, screen_.colour);
  below.add(fmt::format("step {}: {} of {} tokens", step_, settled, settled + masks), Look::aside);
  all.push_back(below.take().front());

  std::string picture = lines_ > 1 ? fmt::format("\r\x1b[{}A", lines_ - 1) : "\r";
  for (size_t i = 0; i < all.size(); ++i) {
    if (i > 0) picture += '\n';
    picture += all[i] + "\x1b[K";
  }
  picture += "\x1b[J";
  screen_.write(picture);
  lines_ = all.size();
  before_.assign(ids.begin(), ids.end());
}

void DraftView::clear() {
  if (lines_ == 0) return;
  screen_.write(lines_ > 1 ? fmt::format("\r\x1b[{}A\x1b[J", lines_ - 1) : "\r\x1b[J");
  lines_ = 0;
}

}  // namespace lmms::app
