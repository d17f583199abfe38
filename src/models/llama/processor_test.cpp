// Llama 3's chats against apply_chat_template (tests/parity/make_llama_chats.py).
#include "models/llama/processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "data/conversation.h"

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

TEST(LlamaChats, trim_a_system_text_of_the_config_as_those_of_a_chat) {
  const Tokenizer words = tokenizer();
  const std::string dated = cases()["templates"]["3.1"];
  Tokenizer::Scratch scratch;
  for (const std::string& jinja : {std::string(), dated}) {
    text::TurnLayout layout = turn_layout(jinja);
    const auto ids = [&](std::vector<ChatMessage> turns) {
      const ChatTemplate chat = ChatTemplate::create(words, {.layout = layout}).take();
      return chat.encode_turns(turns, scratch).take().ids;
    };
    const ChatMessage user{"user", {{.text = "x"}}};
    const auto of_chat = ids({{"system", {{.text = "Be kind."}}}, user});
    layout.default_system = " Be kind.\n";
    EXPECT_EQ(ids({user}), of_chat);
  }
}

// What the processor says of one conversation.
std::string fault_of(const data::Processor& processor, const data::Conversation& conversation) {
  const auto made = processor.prompt(conversation);
  return made ? "none" : made.fault().text();
}

TEST(LlamaChats, with_tools_results_or_reasoning_are_refused) {
  const Tokenizer words = tokenizer();
  const auto processor = llama::processor().make({.tokenizer = words});
  data::Conversation plain;
  plain.origin = {std::make_shared<const std::string>("a.jsonl"), 3};
  const auto add = [&](data::Conversation to, const char* role) {
    to.messages.push_back({role, {data::Part::of_text("7")}});
    return to;
  };
  plain = add(plain, "user");
  EXPECT_EQ(fault_of(*processor, plain), "none");
  data::Conversation tools = plain;
  tools.tools = {R"({"name": "f"})"};
  EXPECT_THAT(fault_of(*processor, tools),
              testing::AllOf(testing::HasSubstr("a.jsonl:3: tools, tool_calls and results"),
                             testing::HasSubstr("not built yet")));
  data::Conversation calls = add(plain, "assistant");
  calls.messages.back().calls.push_back({"f", "{}"});
  EXPECT_THAT(fault_of(*processor, calls), testing::HasSubstr("tool_calls"));
  EXPECT_THAT(fault_of(*processor, add(plain, "tool")), testing::HasSubstr("results of tools"));
  EXPECT_THAT(fault_of(*processor, add(plain, "ipython")),
              testing::HasSubstr("a.jsonl:3: messages[1]: a turn of role 'ipython', the result of "
                                 "a tool: not built yet"));
  data::Conversation thoughts = add(plain, "assistant");
  thoughts.messages.back().reasoning = "hm";
  EXPECT_THAT(fault_of(*processor, thoughts), testing::HasSubstr("reasoning_content"));
}

TEST(LlamaChats, need_every_token_that_their_layout_writes) {
  const std::string file = read_file(kData / "llama_chats/tokenizer.json").take();
  for (const char* name :
       {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}) {
    const std::string token = name;
    std::string without = file;
    for (size_t at = 0; (at = without.find(token, at)) != std::string::npos;)
      without.replace(at, token.size(), "<|other|>");
    const Tokenizer words = Tokenizer::from_json(std::move(without), "t.json").take();
    const auto chat = ChatTemplate::create(words, {.layout = turn_layout("")});
    ASSERT_FALSE(chat) << token;
    EXPECT_EQ(chat.fault().text(),
              "the tokenizer has no added token '" + token +
                  "', which the chat layout needs\n    fix: use a checkpoint that has it, or "
                  "another processor_type");
  }
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
