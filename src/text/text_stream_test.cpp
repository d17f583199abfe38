#include "text/text_stream.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace lmms::text {
namespace {

Tokenizer tokenizer() {
  return Tokenizer::load(std::filesystem::path(LMMS_SOURCE_DIR) / "examples/chat_tiny/tokenizer")
      .take();
}

TEST(TextStream, pieces_are_whole_characters_and_together_the_decoded_text) {
  const Tokenizer t = tokenizer();
  const std::string text = "Hi \xF0\x9F\xA6\x99! caf\xC3\xA9 \xE4\xB8\xAD<|im_end|>\n";
  const std::vector<int32_t> ids = t.encode(text);
  TextStream stream(t);
  std::string all;
  size_t held = 0;
  for (int32_t id : ids) {
    const std::string piece = stream.add(id);
    held += piece.empty() ? 1 : 0;
    EXPECT_EQ(piece.find("\xEF\xBF\xBD"), std::string::npos);
    all += piece;
  }
  EXPECT_GT(held, 1u);  // characters of several tokens were there
  all += stream.finish();
  EXPECT_EQ(all, t.decode(ids, /*skip_special=*/true));
}

TEST(TextStream, bytes_that_never_become_a_character_are_replaced_as_in_decode) {
  const Tokenizer t = tokenizer();
  const std::vector<int32_t> llama = t.encode("\xF0\x9F\xA6\x99"), a = t.encode("a");
  ASSERT_GT(llama.size(), 1u);
  std::vector<int32_t> ids = {llama[0], a[0], llama.back(), llama[0], llama[0], a[0], llama[0]};
  TextStream stream(t);
  std::string all;
  for (int32_t id : ids) all += stream.add(id);
  EXPECT_TRUE(all.ends_with("a")) << all;
  all += stream.finish();
  EXPECT_EQ(all, t.decode(ids, true));
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, ids_without_a_token_say_nothing) {
  TextStream stream(tokenizer());
  EXPECT_EQ(stream.add(-1) + stream.add(1 << 30) + stream.finish(), "");
}

}  // namespace
}  // namespace lmms::text
