#include "generate/prompting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "data/chat_processor.h"
#include "data/data_testing.h"
#include "data/json_text.h"
#include "generate/answers.h"
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

/// Whether the answer is right that a model gives which has learnt the record to the letter, and
/// what is expected.
std::pair<bool, std::string> learnt(const std::string& name, const std::string& fields) {
  namespace fs = std::filesystem;
  const fs::path data = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";
  const data::TempFolder folder;
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    folder.write(file, read_file(data / "tokenizer/chat" / file).take());
  folder.write("chat_template.jinja",
               read_file(data / "chat_templates" / (name + ".jinja")).take());
  const auto t = text::Tokenizer::load(folder.path("")).take();
  const auto processor = std::make_shared<data::ChatProcessor>(
      text::ChatTemplate::create(t, text::CheckpointTemplate::create(t).take(), {}));
  const Prompting prompting(processor, t, {{"eos_token_id", *t.eos()}}, nullptr, PromptForm::chat);
  data::Record record;
  record.origin = {std::make_shared<const std::string>("a.jsonl"), 1};
  record.fields = data::parse_json(fields).take();
  const auto asked = conversation_to_answer(record, [&](const data::Conversation& whole) {
                       return prompting.expected_answer(whole);
                     }).take();
  const data::TextPart sample = processor->process(record).take().text;
  // the last run of targets
  const auto is_target = [&](size_t t) { return t > 0 && sample.labels[t - 1] != data::kIgnore; };
  size_t end = sample.input_ids.size();
  while (!is_target(end - 1)) --end;
  size_t begin = end;
  while (is_target(begin - 1)) --begin;
  std::vector<int32_t> ids(sample.input_ids.begin() + static_cast<ptrdiff_t>(begin),
                           sample.input_ids.begin() + static_cast<ptrdiff_t>(end));
  ids.erase(std::ranges::find_first_of(ids, prompting.stop_ids()), ids.end());
  Answer answer{"", t.decode(ids, /*skip_special=*/true), 1, true};
  answer.expected = asked.expected;
  return {answer.right(), *asked.expected};
}

TEST(ExpectedAnswers, are_what_is_learnt_under_a_checkpoints_own_template) {
  using testing::Pair;
  const std::string text = R"({"messages": [{"role": "user", "content": "One?"},
      {"role": "assistant", "content": "Uno."}, {"role": "user", "content": "Two?"},
      {"role": "assistant", "content": "Dos."}]})";
  EXPECT_THAT(learnt("qwen3_thinking", text), Pair(true, "<think>\n\n</think>\n\nDos."));
  EXPECT_THAT(learnt("deepseek_r1", text), Pair(true, testing::StartsWith("Dos.")));
  EXPECT_THAT(learnt("olmo2", text), Pair(true, "Dos.")) << "marked";
  EXPECT_THAT(learnt("phi3", text), Pair(true, "Dos.<|end|>\n"));
  const std::string call = R"({"tools": [{"type": "function", "function": {"name": "now"}}],
      "messages": [{"role": "user", "content": "Late?"},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "abcdefgh1", "type": "function",
       "function": {"name": "now", "arguments": {"zone": "UTC"}}}]}]})";
  EXPECT_THAT(learnt("mistral_v3_tools", call),
              Pair(true,
                   "[TOOL_CALLS] [{\"name\": \"now\", \"arguments\": {\"zone\": \"UTC\"}, "
                   "\"id\": \"abcdefgh1\"}]"));
  EXPECT_THAT(learnt("llama3_1_tools", call), Pair(true, testing::HasSubstr("\"parameters\": {")));
  EXPECT_THAT(learnt("qwen3_thinking", call), Pair(true, testing::HasSubstr("<tool_call>\n{")));
}

}  // namespace
}  // namespace lmms::generate
