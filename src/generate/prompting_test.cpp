#include "generate/prompting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
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

}  // namespace
}  // namespace lmms::generate
