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

TEST(TextTable, leaves_a_number_with_its_unit) {
  EXPECT_EQ(render_table({{"memory", "weights take 5.0 MiB, states 10 MiB"}}, 28),
            "  memory weights take\n"
            "         5.0 MiB, states\n"
            "         10 MiB\n");
  EXPECT_EQ(render_table({{"m", "1 a2 b3 c4 d5 e6 f7 g8 h9 i10"}}, 20),
            "  m 1 a2 b3 c4 d5 e6 f7\n    g8 h9 i10\n")
      << "where nothing else can be done";
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
