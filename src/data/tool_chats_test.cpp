// Chats with tools, calls, results and reasoning against transformers' apply_chat_template:
// tests/parity/make_tool_chats.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files.h"
#include "data/chat_processor.h"
#include "data/json_text.h"

namespace lmms::data {
namespace {

using testing::HasSubstr;

const std::string kData = std::string(LMMS_SOURCE_DIR) + "/tests/parity/data";

text::Tokenizer tokenizer() {
  return text::Tokenizer::load(kData + "/tokenizer/chat").take();
}

/// The marks of the templates by which they are told.
constexpr std::string_view kTools =
    "{%- if tools %}{{- '<|im_start|>system\\n' }}{{- \"<tools></tools> XML tags:\\n<tools>\" }}"
    "{\\\"name\\\": <function-name>, \\\"arguments\\\": <args-json-object>}<|im_end|>\\n"
    "{{- '\\n<tool_response>\\n' }}";
constexpr std::string_view kAsWritten = "{%- if tool_call.arguments is string %}";
constexpr std::string_view kThinks =
    "{%- if loop.index0 > ns.last_query_index %}{{- '\\n<think>\\n' + reasoning_content + "
    "'\\n</think>\\n\\n' }}";

std::string jinja_of(const std::string& name) {
  std::string jinja(kTools);
  if (name != "qwen2_5") jinja += kAsWritten;
  if (name == "qwen3") jinja += kThinks;
  return jinja;
}

ChatProcessor processor(const std::string& jinja, text::LabelForm labels = {}) {
  text::ChatOptions options;
  options.labels = labels;
  options.tools = text::tool_layout(jinja);
  return ChatProcessor(text::ChatTemplate::create(tokenizer(), options).take());
}

Record record_of(Json fields) {
  return {.origin = {std::make_shared<const std::string>("a.jsonl"), 7},
          .fields = std::move(fields),
          .data_folder = nullptr};
}

Record record(const std::string& json) {
  return record_of(parse_json(json).take());
}

/// Text of the targets, runs apart by "|".
std::string targets(const Sample& sample) {
  const text::Tokenizer words = tokenizer();
  std::string out;
  for (size_t t = 0; t < sample.text.labels.size(); ++t) {
    const int32_t label = sample.text.labels[t];
    if (label == kIgnore) continue;
    if (!out.empty() && sample.text.labels[t - 1] == kIgnore) out += "|";
    out += words.bytes(label);
  }
  return out;
}

std::string text_of(const Sample& sample) {
  return tokenizer().decode(sample.text.input_ids);
}

class ToolChats : public testing::TestWithParam<std::string> {};

TEST_P(ToolChats, are_what_apply_chat_template_makes_of_them) {
  const ChatProcessor processor = data::processor(jinja_of(GetParam()));
  const Json stored = parse_json(read_file(kData + "/tool_chats.json").take()).take();
  int checked = 0;
  for (const Json& c : stored["cases"]) {
    const Json* wanted = find_member(c, GetParam().c_str());
    if (!wanted) continue;
    ++checked;
    const Record record = record_of(c["record"]);
    SCOPED_TRACE(record.fields.dump());
    const auto sample = processor.process(record);
    ASSERT_TRUE(sample.ok()) << sample.fault().text();
    EXPECT_EQ(text_of(*sample), (*wanted)["text"].get<std::string>());
    EXPECT_EQ(sample->text.input_ids, (*wanted)["ids"].get<std::vector<int32_t>>());
    if (!wanted->contains("prompt")) continue;
    const auto prompt = processor.prompt(conversation_of(record).take()).take();
    EXPECT_EQ(text_of(prompt), (*wanted)["prompt"].get<std::string>());
  }
  EXPECT_GE(checked, GetParam() == "qwen3" ? 20 : 10);
}

INSTANTIATE_TEST_SUITE_P(Templates, ToolChats,
                         testing::Values("qwen2_5", "qwen3", "qwen3_instruct_2507", "qwen3_vl"),
                         [](const auto& name) { return name.param; });

constexpr const char* kWeather = R"({"messages": [
    {"role": "user", "content": "Weather in Lima?"},
    {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
       "function": {"name": "weather", "arguments": "{\"city\": \"Lima\"}"}}]},
    {"role": "tool", "tool_call_id": "c1", "content": "22 C"},
    {"role": "assistant", "content": "22 C."}],
    "tools": [{"type": "function", "function": {"name": "weather"}}]})";

TEST(ToolChat, trains_calls_and_answers_and_neither_tools_nor_results) {
  const Sample sample = processor("").process(record(kWeather)).take();
  EXPECT_EQ(targets(sample),
            "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Lima\"}}\n"
            "</tool_call><|im_end|>|22 C.<|im_end|>");
  EXPECT_THAT(text_of(sample),
              HasSubstr("<|im_start|>system\nYou are a helpful assistant\n\n# Tools\n\n"));
  EXPECT_THAT(text_of(sample), HasSubstr("<tools>\n{\"type\": \"function\", \"function\": "
                                         "{\"name\": \"weather\"}}\n</tools>"));
  EXPECT_THAT(text_of(sample), HasSubstr("<|im_start|>user\n<tool_response>\n22 C\n"
                                         "</tool_response><|im_end|>\n"));
}

TEST(ToolChat, is_the_same_in_every_form_that_data_sets_have) {
  const std::string wanted = text_of(processor("").process(record(kWeather)).take());
  const auto text = [](const std::string& json) {
    auto sample = processor("").process(record(json));
    return sample ? text_of(*sample) : sample.fault().text();
  };
  EXPECT_EQ(text(R"({"messages": [
      {"role": "user", "content": "Weather in Lima?"},
      {"role": "assistant", "content": "", "function_call":
         {"name": "weather", "arguments": "{\"city\": \"Lima\"}"}},
      {"role": "function", "name": "weather", "content": "22 C"},
      {"role": "assistant", "content": "22 C."}],
      "functions": [{"name": "weather"}]})"),
            wanted);
  EXPECT_EQ(text(R"({"conversations": [
      {"from": "human", "value": "Weather in Lima?"},
      {"from": "function_call", "value": "{\"name\": \"weather\", \"arguments\": {\"city\": \"Lima\"}}"},
      {"from": "observation", "value": "22 C"},
      {"from": "gpt", "value": "22 C."}],
      "tools": "[{\"type\": \"function\", \"function\": {\"name\": \"weather\"}}]"})"),
            wanted);
  EXPECT_EQ(text(R"({"conversations": [
      {"from": "human", "value": "Weather in Lima?"},
      {"from": "gpt", "value": "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Lima\"}}\n</tool_call>"},
      {"from": "tool", "value": "<tool_response>\n22 C\n</tool_response>"},
      {"from": "gpt", "value": "22 C."}],
      "tools": ["{\"type\": \"function\", \"function\": {\"name\": \"weather\"}}"]})"),
            wanted);
}

TEST(ToolChat, learns_thoughts_behind_the_last_question_and_no_answer_without_its_thoughts) {
  const std::string chat = R"({"messages": [
      {"role": "user", "content": "2+2?"},
      {"role": "assistant", "content": "4", "reasoning_content": "Two and two."},
      {"role": "user", "content": "3+3?"},
      {"role": "assistant", "content": "6", "reasoning_content": "Three and three."}]})";
  for (const std::string name : {"qwen3", "qwen2_5"}) {
    const Sample sample = processor(jinja_of(name)).process(record(chat)).take();
    EXPECT_EQ(targets(sample), "<think>\nThree and three.\n</think>\n\n6<|im_end|>") << name;
    EXPECT_THAT(text_of(sample), HasSubstr("assistant\n4<|im_end|>")) << name;
  }
}

TEST(ToolChat, leaves_chats_of_texts_alone_under_a_template_that_thinks) {
  const Sample sample =
      processor(jinja_of("qwen3")).process(record(R"({"prompt": "Hi", "response": "Yo"})")).take();
  EXPECT_EQ(targets(sample), "Yo<|im_end|>");
  const Sample asked =
      processor(jinja_of("qwen3"))
          .process(record(R"({"prompt": "Hi", "response": "<think>\n</think>Yo"})"))
          .take();
  EXPECT_EQ(targets(asked), "<think>\n</think>Yo<|im_end|>");
}

TEST(ToolChat, trains_no_turn_of_weight_0) {
  const std::string chat = R"({"messages": [
      {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "bad", "weight": 0},
      {"role": "user", "content": "Again"}, {"role": "assistant", "content": "good", "weight": 1.0}]})";
  EXPECT_EQ(targets(processor("").process(record(chat)).take()), "good<|im_end|>");
  const Sample theirs = processor("", text::LabelForm::lmms_engine).process(record(chat)).take();
  EXPECT_THAT(targets(theirs), testing::Not(HasSubstr("bad")));
  EXPECT_THAT(targets(theirs), HasSubstr("good"));
}

TEST(ToolChat, refuses_what_a_template_writes_in_another_form) {
  const auto fault = [](const std::string& jinja, const std::string& json) {
    const auto sample = processor(jinja).process(record(json));
    return sample ? text_of(*sample) : sample.fault().text();
  };
  const std::string coder =
      "<|im_start|>{% if tools %}<tools><function=example_function_name><|im_end|>";
  EXPECT_THAT(fault(coder, kWeather), HasSubstr("a.jsonl:7: tools, tool_calls and results of tools "
                                                "in the form of this checkpoint's chat template: "
                                                "not built yet"));
  const std::string thought = R"({"messages": [{"role": "user", "content": "q"},
      {"role": "assistant", "content": "a", "reasoning_content": "t"}]})";
  EXPECT_THAT(fault("<|im_start|><|im_end|>{{ m.content.split('</think>')[-1] }}", thought),
              HasSubstr("reasoning_content in the form of this checkpoint's"));
  EXPECT_THAT(fault(coder, R"({"prompt": "Hi", "response": "Yo"})"), HasSubstr("Yo"));
}

}  // namespace
}  // namespace lmms::data
