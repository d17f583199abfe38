// Llama 3's chats against apply_chat_template (tests/parity/make_llama_chats.py).
#include "models/llama/processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace lmms::models::llama {
namespace {

using nlohmann::json;
using text::ChatMessage;
using text::ChatPart;
using text::ChatTemplate;
using text::PartKind;
using text::Tokenizer;

namespace fs = std::filesystem;
const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";

Tokenizer tokenizer() {
  return Tokenizer::load(kData / "llama_chats/tokenizer.json").take();
}

json cases() {
  std::ifstream in(kData / "llama_chats/cases.json");
  return json::parse(in);
}

text::Chat chat_of(const json& messages) {
  text::Chat chat;
  for (const json& m : messages)
    chat.messages.push_back({m["role"], {ChatPart{PartKind::text, m["content"]}}});
  return chat;
}

// The texts of the trained tokens, runs apart by "|".
std::string trained_text(const Tokenizer& words, const text::LabelledIds& encoded) {
  std::string text;
  for (size_t t = 0; t < encoded.ids.size(); ++t) {
    if (!encoded.trained[t]) continue;
    if (t > 0 && !encoded.trained[t - 1] && !text.empty()) text += "|";
    text += words.bytes(encoded.ids[t]);
  }
  return text;
}

TEST(LlamaChats, equal_the_template_beside_the_tokenizer) {
  const Tokenizer words = tokenizer();
  const json stored = cases();
  ASSERT_GE(stored["chats"].size(), 20u);
  for (const json& one : stored["chats"]) {
    SCOPED_TRACE(one["form"].get<std::string>() + ": " + one["messages"].dump());
    const std::string jinja = stored["templates"][one["form"].get<std::string>()];
    const ChatTemplate chat = ChatTemplate::create(words, {.layout = turn_layout(jinja)}).take();
    Tokenizer::Scratch scratch;
    const auto encoded = chat.encode(chat_of(one["messages"]), scratch).take();
    EXPECT_EQ(encoded.ids, one["ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(trained_text(words, encoded), one["trained"]);
    EXPECT_EQ(chat.encode_prompt(chat_of(one["messages"]), scratch).take(),
              one["prompt"].get<std::vector<int32_t>>());
    EXPECT_EQ(chat.end_of_turn(), *words.id("<|eot_id|>"));
  }
}

TEST(LlamaChats, join_the_parts_of_a_turn_before_they_are_trimmed) {
  const Tokenizer words = tokenizer();
  const ChatTemplate chat = ChatTemplate::create(words, {.layout = turn_layout("")}).take();
  Tokenizer::Scratch scratch;
  const ChatMessage turn{"user",
                         {{.text = " \n"}, {.text = " a "}, {.text = " b"}, {.text = "\n"}}};
  EXPECT_EQ(words.decode(chat.encode_turns(std::vector{turn}, scratch).take().ids),
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\na  b<|eot_id|>");
}

TEST(LlamaChats, put_the_dates_before_a_system_text_of_the_config) {
  const Tokenizer words = tokenizer();
  text::TurnLayout layout = turn_layout(cases()["templates"]["3.1"].get<std::string>());
  EXPECT_EQ(layout.default_system, "");
  layout.default_system = "Be kind.";
  const ChatTemplate chat = ChatTemplate::create(words, {.layout = layout}).take();
  Tokenizer::Scratch scratch;
  const ChatMessage turn{"user", {{.text = "x"}}};
  EXPECT_EQ(
      words.decode(chat.encode_turns(std::vector{turn}, scratch).take().ids),
      "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: "
      "December 2023\nToday Date: 26 Jul 2024\n\nBe kind.<|eot_id|><|start_header_id|>user"
      "<|end_header_id|>\n\nx<|eot_id|>");
}

TEST(LlamaChats, need_the_tokens_of_llama_3) {
  const Tokenizer qwen = Tokenizer::load(kData / "tokenizer/chat").take();
  EXPECT_THAT(ChatTemplate::create(qwen, {.layout = turn_layout("")}).fault().what,
              testing::HasSubstr("'<|start_header_id|>'"));
  EXPECT_THAT(ChatTemplate::create(tokenizer()).fault().fix,
              testing::HasSubstr("processor_type: llama3"));
}

TEST(LlamaTemplateDifference, is_the_day_of_use_and_what_is_of_another_form) {
  const json templates = cases()["templates"];
  EXPECT_EQ(template_difference(""), std::nullopt);
  EXPECT_EQ(template_difference(templates["3.0"].get<std::string>()), std::nullopt);
  EXPECT_EQ(template_difference(templates["3.1"].get<std::string>()), std::nullopt);
  EXPECT_THAT(
      template_difference(templates["3.2"].get<std::string>()).value_or(""),
      testing::HasSubstr("names the day of its use ('Today Date: '), training writes '26 Jul "
                         "2024'"));
  EXPECT_THAT(template_difference("{{ '<|im_start|>' }}").value_or(""),
              testing::HasSubstr("does not frame turns"));
  EXPECT_THAT(template_difference("{{ '<|start_header_id|>' + x + '<|eot_id|>' }}").value_or(""),
              testing::AllOf(testing::HasSubstr("begins without <|begin_of_text|>"),
                             testing::HasSubstr("keeps white space")));
}

TEST(LlamaTokenizer, puts_begin_of_text_before_plain_text) {
  const Tokenizer words = tokenizer();
  EXPECT_EQ(words.before_text(), (std::vector{*words.id("<|begin_of_text|>")}));
  EXPECT_TRUE(words.behind_text().empty());
  Tokenizer::Scratch scratch;
  const auto plain = text::encode_plain_text(words, "Plain text.", false, scratch);
  EXPECT_EQ(words.decode(plain.ids), "<|begin_of_text|>Plain text.");
}

}  // namespace
}  // namespace lmms::models::llama
