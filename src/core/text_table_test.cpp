#include "core/text_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace lmms {
namespace {

using testing::HasSubstr;

TEST(TextTable, wraps_values_at_spaces_under_their_column) {
  EXPECT_EQ(render_table({{"model", "one two three four five six"}, {"id", "7"}}, 30),
            "  model one two three four\n"
            "        five six\n"
            "  id    7\n");
}

TEST(TextTable, cuts_a_word_that_is_wider_than_the_column) {
  const std::string path(100, 'p');
  std::istringstream lines(render_table({{"data", path}, {"empty", ""}}, 40));
  std::string joined;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 40u);
    for (char c : line) joined += c == 'p' ? "p" : "";
  }
  EXPECT_EQ(joined.size() - 1, path.size());  // one p is of "empty"
}

TEST(TextTable, is_drawn_on_screens_of_no_width) {
  EXPECT_THAT(render_table({{"model", "qwen3"}}, 0), HasSubstr("model qwen3"));
}

}  // namespace
}  // namespace lmms
