#include "inspect/preview/token_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms::inspect::preview {
namespace {

TEST(TokenText, gives_a_character_to_the_last_of_its_tokens) {
  const auto tokenizer =
      text::Tokenizer::load(LMMS_SOURCE_DIR "/examples/chat_tiny/tokenizer").take();
  const auto ids = tokenizer.encode("a\xF0\x9F\xA6\x94z");
  const auto texts = token_texts(ids, tokenizer);
  std::string joined;
  for (const auto& text : texts) joined += text;
  EXPECT_EQ(joined, "a\xF0\x9F\xA6\x94z");
  EXPECT_THAT(texts, testing::Contains(""));

  // Without its end, or its beginning, it is no character.
  const std::vector<int32_t> head(ids.begin(), ids.end() - 2), tail(ids.begin() + 2, ids.end());
  EXPECT_THAT(token_texts(head, tokenizer).back(), testing::HasSubstr("\xEF\xBF\xBD"));
  EXPECT_THAT(token_texts(tail, tokenizer).front(), testing::HasSubstr("\xEF\xBF\xBD"));
  EXPECT_EQ(token_texts({}, tokenizer).size(), 0u);
  const std::vector<int32_t> none = {-1, 1 << 30};
  EXPECT_EQ(token_texts(none, tokenizer), (std::vector<std::string>{"", ""}));
}

TEST(TokenText, measures_wide_and_combining_characters) {
  EXPECT_EQ(width_of("abc"), 3);
  EXPECT_EQ(width_of("\xE6\xBC\xA2\xE5\xAD\x97"), 4);
  EXPECT_EQ(width_of("e\xCC\x81"), 1);
  EXPECT_EQ(width_of("\xF0\x9F\xA6\x94"), 2);
  EXPECT_EQ(hex("\xE2\x98"), "e2 98");
}

TEST(TokenText, shortens_to_columns_not_to_bytes) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "ab…");
  EXPECT_EQ(shortened("漢字漢字", 5), "漢字…");
  EXPECT_EQ(shortened("漢字漢字", 4), "漢…");
}

}  // namespace
}  // namespace lmms::inspect::preview
