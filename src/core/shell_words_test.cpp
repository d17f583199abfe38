#include "core/shell_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> texts(std::string_view line) {
  std::vector<std::string> out;
  for (ShellWord& word : shell_words(line)) out.push_back(std::move(word.text));
  return out;
}

TEST(ShellWords, are_parted_by_blanks_that_nothing_quotes) {
  EXPECT_THAT(texts(" \t "), IsEmpty());
  EXPECT_THAT(texts(" a\tb.png  "), ElementsAre("a", "b.png"));
  EXPECT_THAT(texts(R"('my cat.png' "my \"dog\".png" my\ cow.png)"),
              ElementsAre("my cat.png", R"(my "dog".png)", "my cow.png"));
  EXPECT_THAT(texts(R"(a'b c'd "" 'it\n' "x\y")"), ElementsAre("ab cd", "", R"(it\n)", R"(x\y)"));
}

TEST(ShellWords, that_do_not_end_are_open) {
  for (const char* line : {"a 'b c", "a \"b c", "a b\\", "a \"b\\"}) {
    const auto words = shell_words(line);
    ASSERT_EQ(words.size(), 2u) << line;
    EXPECT_FALSE(words[0].open) << line;
    EXPECT_TRUE(words[1].open) << line;
    EXPECT_EQ(words[1].begin, 2u) << line;
  }
  EXPECT_FALSE(shell_words("'a' b").back().open);
}

TEST(ShellWords, read_what_was_escaped_as_it_was) {
  for (const std::string text : {"plain", "my cat.png", R"(a'b"c\d)", "$(rm -rf)", "ä ö", "#1 *?"})
    EXPECT_THAT(texts(shell_escaped(text) + " next"), ElementsAre(text, "next"));
}

TEST(ShellWords, survive_any_bytes) {
  std::string line;
  for (int i = 0; i < 1024; ++i) line += static_cast<char>(i * 167 % 256);
  for (size_t n = 0; n < line.size(); ++n) shell_words(std::string_view(line).substr(n, 40));
}

}  // namespace
}  // namespace lmms
