#include "inspect/preview/flow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <sstream>

#include "inspect/preview/token_text.h"

namespace lmms::inspect::preview {
namespace {

std::string flowed(int columns, const std::string& text, const std::string& indent = "") {
  Flow flow(columns, indent);
  flow.add("", text);
  return flow.take();
}

TEST(FlowTest, breaks_lines_at_spaces) {
  EXPECT_EQ(flowed(10, "one two three four"), "one two\nthree four\n");
  EXPECT_EQ(flowed(10, "exactly te n"), "exactly te\nn\n");
  EXPECT_EQ(flowed(10, "a line↵\nand more"), "a line↵\nand more\n");
  EXPECT_EQ(flowed(10, "to here\n"), "to here\n");
  EXPECT_EQ(flowed(10, ""), "");
}

TEST(FlowTest, keeps_words_that_come_in_parts_together) {
  Flow flow(10);
  for (const char* part : {"one tw", "o th", "re", "e", " four"}) flow.add("", part);
  EXPECT_EQ(flow.take(), "one two\nthree four\n");
}

TEST(FlowTest, indents_every_line_and_keeps_the_indentation_of_the_text) {
  EXPECT_EQ(flowed(10, "one two three", "  "), "  one two\n  three\n");
  EXPECT_EQ(flowed(10, "    deep↵\n        x = 1"), "    deep↵\n        x\n= 1\n");
}

TEST(FlowTest, breaks_a_word_only_if_a_line_cannot_hold_it) {
  EXPECT_EQ(flowed(10, "so abcdefghijkl"), "so abcdefg\nhijkl\n");
  EXPECT_EQ(flowed(10, "at /data/chats/first.jsonl"), "at /data/\nchats/\nfirst.\njsonl\n");
}

TEST(FlowTest, breaks_between_wide_characters_but_not_inside_emoji) {
  EXPECT_EQ(flowed(10, "漢字漢字漢字"), "漢字漢字漢\n字\n");
  EXPECT_EQ(flowed(10, "⟦漢字漢字⟧↵\n"), "⟦漢字漢\n字⟧↵\n");
  EXPECT_EQ(flowed(7, "abc 👩‍👩‍👧"), "abc\n👩‍👩‍👧\n");
}

TEST(FlowTest, runs_no_style_over_the_end_of_a_line) {
  Flow flow(10);
  flow.add("\x1b[32m", "one two three");
  flow.add("", " and");
  EXPECT_EQ(flow.take(), "\x1b[32mone two\x1b[0m\n\x1b[32mthree\x1b[0m and\n");
}

TEST(FlowTest, no_line_is_wider_than_the_screen_whatever_the_text) {
  constexpr const char* kParts[] = {"a",
                                    " ",
                                    "   ",
                                    "\n",
                                    "漢",
                                    "⟦",
                                    "⟧",
                                    "↵\n",
                                    "/",
                                    "wörter",
                                    "👩‍👩‍👧",
                                    "é",
                                    "\xff",
                                    "verylongwordthatneverends"};
  std::mt19937 random(5);
  for (int i = 0; i < 2000; ++i) {
    const int columns = 4 + static_cast<int>(random() % 20);
    Flow flow(columns, random() % 2 == 0 ? "" : "  ");
    std::string letters, shown;
    for (uint32_t n = random() % 30; n-- > 0;) {
      const std::string part = kParts[random() % std::size(kParts)];
      flow.add(random() % 2 == 0 ? "" : "\x1b[2m", part);
      if (part != "\xff") letters += part;
    }
    std::istringstream lines(flow.take());
    for (std::string line; std::getline(lines, line);) {
      for (const char* code : {"\x1b[2m", "\x1b[0m", "\xEF\xBF\xBD"})
        for (size_t at = 0; (at = line.find(code)) != line.npos;) line.erase(at, std::strlen(code));
      EXPECT_LE(width_of(line), columns) << line;
      shown += line;
    }
    // Nothing but spaces and line breaks came or went.
    for (std::string* text : {&letters, &shown})
      std::erase_if(*text, [](char c) { return c == ' ' || c == '\n'; });
    EXPECT_EQ(shown, letters);
  }
}

}  // namespace
}  // namespace lmms::inspect::preview
