#include "data/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/json_text.h"

namespace lmms::data {
namespace {

Record record(const std::string& json) {
  return {.origin = {std::make_shared<const std::string>("a.jsonl"), 7},
          .fields = parse_json(json).take(),
          .data_folder = nullptr};
}

/// "role: text|text", media as <kind url>.
std::vector<std::string> read(const std::string& json) {
  auto messages = conversation_of(record(json));
  if (!messages) return {messages.fault().text()};
  std::vector<std::string> lines;
  for (const auto& message : *messages) {
    std::string line = message.role + ": ";
    for (size_t i = 0; i < message.parts.size(); ++i) {
      const auto& part = message.parts[i];
      const char* kinds[] = {"", "image", "video", "audio"};
      line += i ? "|" : "";
      line += part.kind == Part::Kind::text
                  ? part.text
                  : std::string("<") + kinds[static_cast<int>(part.kind)] + " " +
                        part.source_name() + ">";
    }
    lines.push_back(line);
  }
  return lines;
}

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Conversation, reads_lists_of_parts_in_order) {
  EXPECT_THAT(read(R"({"id": "7", "messages": [
    {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    {"role": "user", "content": [
      {"type": "image_url", "image_url": {"url": "a/1.png"}, "text": null},
      {"type": "video_url", "video_url": {"url": "v/2.mp4", "video_start": 3.0}},
      {"type": "audio_url", "audio_url": {"url": "s/3.wav"}},
      {"type": "image", "image": "b.png"},
      {"type": "text", "text": "What happens?", "image_url": null}]},
    {"role": "assistant", "content": [{"type": "text", "text": "A cat "}, {"type": "text", "text": "jumps."}]}]})"),
              ElementsAre("system: Be brief.",
                          "user: <image a/1.png>|<video v/2.mp4>|<audio s/3.wav>|<image "
                          "b.png>|What happens?",
                          "assistant: A cat |jumps."));
}

TEST(Conversation, keeps_further_keys_of_media) {
  const auto messages = conversation_of(record(R"({"messages": [{"role": "user", "content":
    [{"type": "video_url", "video_url": {"url": "v", "video_start": 3.0}}]}]})"))
                            .take();
  EXPECT_EQ(messages[0].parts[0].options.dump(), R"({"video_start":3.0})");
}

TEST(Conversation, reads_string_content_and_keeps_roles_as_they_are) {
  EXPECT_THAT(
      read(R"({"messages": [{"role": "user", "content": "hi", "name": "x", "tool_calls": null},
                                    {"role": "tool", "content": ["a", "b"]},
                                    {"role": "assistant", "content": ""}], "extra": 1})"),
      ElementsAre("user: hi", "tool: a|b", "assistant: "));
}

TEST(Conversation, reads_messages_that_are_json_text) {
  EXPECT_THAT(read(R"({"messages": "[{\"role\": \"user\", \"content\": \"hi\"}]"})"),
              ElementsAre("user: hi"));
  EXPECT_THAT(read(R"({"messages": "[{"})")[0], HasSubstr("a.jsonl:7: messages: not valid JSON"));
}

TEST(Conversation, reads_llava_turns_with_their_media_before_the_text) {
  EXPECT_THAT(read(R"({"image": "1.jpg", "conversations": [
                {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]})"),
              ElementsAre("user: <image 1.jpg>|What is it?", "assistant: A cat."));
  EXPECT_THAT(read(R"({"image": ["1", "2"], "conversations": [
                {"from": "human", "value": "<image>vs\n<image>"}, {"from": "system", "value": "s"}]})"),
              ElementsAre("user: <image 1>|<image 2>|vs", "system: s"));
  EXPECT_THAT(read(R"({"conversations": [{"from": "human", "value": "the tag <image>"}]})"),
              ElementsAre("user: the tag <image>"));
}

TEST(Conversation, refuses_llava_media_and_tags_that_do_not_match) {
  EXPECT_THAT(
      read(R"({"image": "1", "conversations": [{"from": "human", "value": "<image><image>"}]})")[0],
      HasSubstr("a.jsonl:7: conversations[0]: more <image> tags than files"));
  EXPECT_THAT(read(R"({"image": "1", "conversations": [{"from": "human", "value": "x"}]})")[0],
              HasSubstr("1 files, but 0 <image> tags"));
}

TEST(Conversation, reads_alpaca_and_prompt_forms) {
  EXPECT_THAT(read(R"({"instruction": "Add.", "input": "1 2", "output": "3"})"),
              ElementsAre("user: Add.\n1 2", "assistant: 3"));
  EXPECT_THAT(read(R"({"instruction": "Hi.", "input": "", "output": "Yo.", "system": "S"})"),
              ElementsAre("system: S", "user: Hi.", "assistant: Yo."));
  EXPECT_THAT(read(R"({"prompt": "p", "response": "r"})"), ElementsAre("user: p", "assistant: r"));
  EXPECT_THAT(read(R"({"prompt": [{"role": "user", "content": "p"}],
                       "completion": [{"role": "assistant", "content": "r"}]})"),
              ElementsAre("user: p", "assistant: r"));
}

TEST(Conversation, names_the_record_and_the_path_of_a_fault) {
  const auto fault = [](const std::string& json) { return read(json)[0]; };
  EXPECT_EQ(fault(R"({"messages": [{"role": "user"}]})"),
            "a.jsonl:7: messages[0].content: missing");
  EXPECT_EQ(fault(R"({"messages": [{"content": "x"}]})"),
            "a.jsonl:7: messages[0].role: expected a string");
  EXPECT_THAT(fault(R"({"messages": 3})"), HasSubstr("messages: expected a list of messages"));
  EXPECT_THAT(fault(R"({"messages": [3]})"), HasSubstr("messages[0]: expected {"));
  EXPECT_THAT(fault(R"({"messages": [{"role": "u", "content": 3}]})"),
              HasSubstr("messages[0].content: expected a string or a list of parts, found number"));
  EXPECT_THAT(fault(R"({"messages": [{"role": "u", "content": [3]}]})"),
              HasSubstr("messages[0].content[0]: expected a part"));
  EXPECT_THAT(fault(R"({"messages": [{"role": "u", "content": [{"type": "point"}]}]})"),
              HasSubstr("unknown part type 'point'"));
  EXPECT_THAT(fault(R"({"messages": [{"role": "u", "content": [{"type": "text", "text": 1}]}]})"),
              HasSubstr("content[0].text: expected a string"));
  EXPECT_THAT(fault(R"({"messages": [{"role": "u", "content": [{"type": "image_url"}]}]})"),
              HasSubstr("expected 'image_url': {\"url\": a path}"));
  EXPECT_THAT(fault(R"({"conversations": [{"from": "human"}]})"), HasSubstr("conversations[0]"));
  EXPECT_THAT(fault(R"({"instruction": "x"})"), HasSubstr("output: missing"));
  EXPECT_THAT(fault(R"({"a": 1, "b": 2})"), HasSubstr("its keys are: a, b"));
}

TEST(Conversation, reads_plain_text) {
  EXPECT_EQ(plain_text_of(record(R"({"text": "once"})")).take(), "once");
  EXPECT_THAT(plain_text_of(record(R"({"text": 3})")).fault().what, HasSubstr("expected a string"));
  EXPECT_THAT(plain_text_of(record(R"({"body": "x"})")).fault().text(),
              HasSubstr("a.jsonl:7: no field 'text'; its keys are: body"));
}

}  // namespace
}  // namespace lmms::data
