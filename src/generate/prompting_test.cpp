#include "generate/prompting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "models/llama/processor.h"
#include "models/processor_entry.h"

namespace lmms::generate {
namespace {

using nlohmann::json;

text::Tokenizer tokenizer() {
  return text::Tokenizer::load(LMMS_SOURCE_DIR "/examples/chat_tiny/tokenizer").take();
}

Prompting prompting(PromptForm form, const json& model = json::object(),
                    const json& generation = nullptr) {
  const text::Tokenizer t = tokenizer();
  const models::ProcessorEntry& entry =
      form == PromptForm::chat ? models::chat_processor() : models::plain_text_processor();
  return Prompting(entry.make({.tokenizer = t}), t, model, generation, form);
}

TEST(Sampling, is_greedy_unless_the_checkpoint_samples) {
  EXPECT_EQ(sampling_of(nullptr), SamplingOptions{});
  EXPECT_EQ(sampling_of({{"temperature", 0.5}, {"top_k", 3}}), SamplingOptions{});
  const SamplingOptions options = sampling_of(
      {{"do_sample", true}, {"temperature", 0.5}, {"top_p", 0.9}, {"repetition_penalty", 1.1}});
  EXPECT_EQ(options.temperature, 0.5);
  EXPECT_EQ(options.top_k, 50);  // transformers' own
  EXPECT_EQ(options.top_p, 0.9);
  EXPECT_EQ(options.repetition_penalty, 1.1);
}

TEST(Sampling, of_settings_that_cannot_be_is_refused_by_name) {
  for (const json& config :
       {json{{"do_sample", true}, {"top_p", 1.5}}, json{{"do_sample", true}, {"top_p", "much"}}}) {
    try {
      sampling_of(config);
      ADD_FAILURE() << config;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), testing::HasSubstr("generation_config.json: top_p"));
    }
  }
}

TEST(Prompts, of_a_chat_end_where_the_answer_begins_and_stop_at_the_end_of_a_turn) {
  const Prompting chat = prompting(PromptForm::chat, {{"eos_token_id", 5}});
  const std::string text = chat.tokenizer().decode(chat.prompt("Hi").text.input_ids, false);
  EXPECT_THAT(text, testing::EndsWith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"));
  EXPECT_THAT(chat.stop_ids(),
              testing::UnorderedElementsAre(5, *chat.tokenizer().id("<|im_end|>")));
}

TEST(Prompts, of_plain_text_are_its_tokens) {
  const Prompting plain =
      prompting(PromptForm::plain, {{"eos_token_id", 5}}, {{"eos_token_id", {6, 7}}});
  EXPECT_EQ(plain.prompt("Once upon").text.input_ids, plain.tokenizer().encode("Once upon"));
  EXPECT_THAT(plain.stop_ids(), testing::ElementsAre(6, 7));  // of generation_config.json
  EXPECT_THROW((void)plain.prompt(Conversation{}), Error);
}

TEST(Prompts, of_llama_3_begin_with_its_token_and_stop_at_the_end_of_a_turn) {
  const text::Tokenizer t =
      text::Tokenizer::load(LMMS_SOURCE_DIR "/tests/parity/data/llama_chats/tokenizer.json").take();
  const int32_t end_of_text = *t.id("<|end_of_text|>"), end_of_message = *t.id("<|eom_id|>"),
                end_of_turn = *t.id("<|eot_id|>");
  // as the hub's 3.1 and later have them: a list in generation_config.json
  const json generation = {{"eos_token_id", {end_of_text, end_of_message, end_of_turn}}};
  const auto made = [&](PromptForm form, const models::ProcessorEntry& entry) {
    return Prompting(entry.make({.tokenizer = t}), t, json::object(), generation, form);
  };
  const Prompting chat = made(PromptForm::chat, models::llama::processor());
  EXPECT_THAT(std::set<int32_t>(chat.stop_ids().begin(), chat.stop_ids().end()),
              testing::ElementsAre(end_of_text, end_of_message, end_of_turn));
  EXPECT_EQ(t.decode(chat.prompt("Hi").text.input_ids),
            "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(chat.tool_layout().tools, text::ToolLayout::Form::other);
  const Prompting plain = made(PromptForm::plain, models::plain_text_processor());
  EXPECT_EQ(t.decode(plain.prompt("Hi").text.input_ids), "<|begin_of_text|>Hi");
  EXPECT_THAT(plain.stop_ids(), testing::ElementsAre(end_of_text, end_of_message, end_of_turn));
  EXPECT_EQ(plain.tool_layout().tools, text::ToolLayout::Form::none);
}

}  // namespace
}  // namespace lmms::generate
