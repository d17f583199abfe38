#include "app/draft_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "text/unicode/utf8.h"

namespace lmms::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A terminal that knows what a draft is drawn with; every character is one cell wide.
class Screen {
 public:
  explicit Screen(int columns, int rows) : columns_(columns), rows_(rows) {}

  DraftScreen screen(bool colour = false) {
    return {.write = [this](std::string_view text) { write(text); },
            .columns = [this] { return columns_; },
            .rows = [this] { return rows_; },
            .colour = colour,
            .pause = std::chrono::milliseconds(0)};
  }
  /// Lines without blanks at their ends, down to the last that has something.
  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    for (const auto& line : cells_) {
      std::string text;
      for (const std::string& cell : line) text += cell;
      while (!text.empty() && text.back() == ' ') text.pop_back();
      out.push_back(text);
    }
    while (!out.empty() && out.back().empty()) out.pop_back();
    return out;
  }
  size_t row() const { return row_; }
  const std::string& bytes() const { return bytes_; }

 private:
  void write(std::string_view text) {
    bytes_ += text;
    const char* at = text.data();
    while (at < text.data() + text.size()) {
      if (text::unicode::valid_prefix({at, 1}) == 1 && *at == '\x1b') {
        char* end = nullptr;
        const long n = std::strtol(at + 2, &end, 10);
        obey(*end, static_cast<size_t>(n));
        at = end + 1;
        continue;
      }
      const char* const begin = at;
      const char32_t c = text::unicode::next(at);
      if (c == U'\r') {
        column_ = 0;
      } else if (c == U'\n') {
        ++row_;
        column_ = 0;
        ASSERT_LT(row_, static_cast<size_t>(rows_)) << "it scrolls";
      } else {
        put({begin, at});
      }
    }
  }
  void put(std::string character) {
    ASSERT_LT(column_, static_cast<size_t>(columns_) - 1) << "it wraps";
    if (cells_.size() <= row_) cells_.resize(row_ + 1);
    if (cells_[row_].size() <= column_) cells_[row_].resize(column_ + 1, " ");
    cells_[row_][column_++] = std::move(character);
  }
  void obey(char command, size_t n) {
    if (command == 'A') {
      ASSERT_LE(n, row_);
      row_ -= n;
    } else if (command == 'K' || command == 'J') {
      if (row_ < cells_.size() && column_ < cells_[row_].size()) cells_[row_].resize(column_);
      if (command == 'J' && cells_.size() > row_ + 1) cells_.resize(row_ + 1);
    } else {
      ASSERT_EQ(command, 'm');
    }
  }

  int columns_, rows_;
  size_t row_ = 0, column_ = 0;
  std::vector<std::vector<std::string>> cells_;
  std::string bytes_;
};

class DraftViewTest : public testing::Test {
 protected:
  DraftView view(const DraftScreen& screen) { return {tokenizer_, mask_, {end_}, screen}; }
  std::vector<int32_t> ids(const std::string& text) const { return tokenizer_.encode(text); }
  /// Ids of a text, of which those that `keeps` says no to are masks.
  std::vector<int32_t> masked(const std::string& text, const std::vector<bool>& settled) const {
    std::vector<int32_t> out = ids(text);
    for (size_t i = 0; i < out.size(); ++i)
      if (i >= settled.size() || !settled[i]) out[i] = mask_;
    return out;
  }

  text::Tokenizer tokenizer_ =
      text::Tokenizer::load(LMMS_SOURCE_DIR "/examples/chat_tiny/tokenizer").take();
  int32_t mask_ = tokenizer_.vocab_size();  // one without a text
  int32_t end_ = *tokenizer_.id("<|im_end|>");
};

TEST_F(DraftViewTest, masks_turn_into_text_where_they_stand) {
  Screen screen(40, 10);
  DraftView draft = view(screen.screen());
  draft.show(masked("abcd", {}));
  const size_t tokens = ids("abcd").size();
  ASSERT_GE(tokens, 1u);
  EXPECT_THAT(screen.lines()[0], StartsWith("░░░"));
  EXPECT_EQ(screen.lines()[1], "step 0: 0 of " + std::to_string(tokens) + " tokens");
  draft.show(ids("abcd"));
  EXPECT_THAT(screen.lines(), ElementsAre("abcd", "step 1: " + std::to_string(tokens) + " of " +
                                                      std::to_string(tokens) + " tokens"));
  draft.clear();
  EXPECT_TRUE(screen.lines().empty());
  EXPECT_EQ(screen.row(), 0u);
}

TEST_F(DraftViewTest, colours_are_left_out_where_they_are_not_wanted) {
  for (const bool colour : {false, true}) {
    Screen screen(40, 10);
    DraftView draft = view(screen.screen(colour));
    draft.show(masked("ab\ncd", {}));
    draft.show(ids("ab\ncd"));
    const auto has = colour ? testing::Matcher<std::string>(HasSubstr("\x1b[32m"))
                            : testing::Matcher<std::string>(Not(HasSubstr("m")));
    std::string escapes;  // all that end in a letter behind ESC [
    for (size_t at = screen.bytes().find('\x1b'); at != std::string::npos;
         at = screen.bytes().find('\x1b', at + 1))
      escapes += screen.bytes().substr(at, screen.bytes().find_first_of("mAJK", at) - at + 1);
    EXPECT_THAT(escapes, has);
    EXPECT_THAT(screen.lines()[0], "ab");
    EXPECT_THAT(screen.lines()[1], "cd");
  }
}

TEST_F(DraftViewTest, keeps_to_a_small_screen_and_shows_the_first_mask) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "word " + std::to_string(i) + "\n";
  const size_t n = ids(text).size();
  for (const int columns : {8, 30}) {
    Screen screen(columns, 6);
    DraftView draft = view(screen.screen());
    for (const size_t settled : {size_t{0}, n / 2, n - 1, n}) {
      std::vector<bool> which(n, false);
      std::fill(which.begin(), which.begin() + static_cast<int64_t>(settled), true);
      draft.show(masked(text, which));
      EXPECT_LE(screen.lines().size(), 5u);
      std::string all;
      for (const std::string& line : screen.lines()) all += line;
      EXPECT_EQ(all.find("░") != std::string::npos, settled < n) << settled;
    }
    draft.clear();
    EXPECT_TRUE(screen.lines().empty());
  }
}

TEST_F(DraftViewTest, nothing_is_drawn_behind_an_end) {
  Screen screen(40, 10);
  DraftView draft = view(screen.screen());
  std::vector<int32_t> text = ids("ab");
  text.push_back(end_);
  text.push_back(mask_);
  draft.show(text);
  EXPECT_EQ(screen.lines()[0], "ab");
}

TEST_F(DraftViewTest, control_characters_do_not_command_the_terminal) {
  Screen screen(40, 10);
  DraftView draft = view(screen.screen());
  draft.show(ids("a\x1b[2Jb"));
  EXPECT_EQ(screen.lines()[0], "a^[[2Jb");
}

}  // namespace
}  // namespace lmms::app
