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
  auto conversation = conversation_of(record(json));
  if (!conversation) return {conversation.fault().text()};
  std::vector<std::string> lines;
  for (const auto& message : conversation->messages) {
    std::string line = message.role + (message.trained ? ": " : " (not trained): ");
    if (message.reasoning) line += "(" + *message.reasoning + ") ";
    for (size_t i = 0; i < message.parts.size(); ++i) {
      const auto& part = message.parts[i];
      const char* kinds[] = {"", "image", "video", "audio"};
      line += i ? "|" : "";
      line += part.kind == Part::Kind::text
                  ? part.text
                  : std::string("<") + kinds[static_cast<int>(part.kind)] + " " +
                        part.source_name() + ">";
    }
    for (const auto& call : message.calls) line += call.name + call.arguments;
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
  const auto conversation = conversation_of(record(R"({"messages": [{"role": "user", "content":
    [{"type": "video_url", "video_url": {"url": "v", "video_start": 3.0}}]}]})"))
                                .take();
  EXPECT_EQ(conversation.messages[0].parts[0].options.dump(), R"({"video_start":3.0})");
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

TEST(Conversation, puts_media_where_the_tags_of_a_text_stand) {
  EXPECT_THAT(read(R"({"image": "1.jpg", "conversations": [
                {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]})"),
              ElementsAre("user: <image 1.jpg>|\nWhat is it?", "assistant: A cat."));
  EXPECT_THAT(read(R"({"image": ["1", "2"], "videos": ["3"], "conversations": [
                {"from": "human", "value": "A <image> vs <video>\n<image>"}, {"from": "system", "value": "s"}]})"),
              ElementsAre("user: A |<image 1>| vs |<video 3>|\n|<image 2>", "system: s"));
  EXPECT_THAT(read(R"({"images": ["1"], "messages": [{"role": "user", "content":
                [{"type": "text", "text": "<image>\nWhat?"}, {"type": "text", "text": " Say."}]}]})"),
              ElementsAre("user: <image 1>|\nWhat?| Say."));
  const auto parts = conversation_of(record(R"({"images": ["1", "2"], "messages": [{"role": "user",
      "content": [{"type": "image"}, {"type": "text", "text": "a<image>b"}]}]})"))
                         .take()
                         .messages[0]
                         .parts;
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_FALSE(parts[0].in_text || parts[1].in_text);
  EXPECT_TRUE(parts[2].in_text && parts[3].in_text);
}

TEST(Conversation, counts_an_empty_column_as_one_without_files) {
  const std::string tagged = R"("conversations": [{"from": "human", "value": "<image>\nWhat?"}]})";
  for (const char* none :
       {R"({"images": [], )", R"({"image": "", )", R"({"images": [null], )",
        R"({"images": [""], "image": [], )", R"({"images": [{"bytes": null}], )"}) {
    EXPECT_THAT(read(none + tagged)[0],
                HasSubstr("a.jsonl:7: conversations[0]: more <image> tags than files in 'image"))
        << none;
    EXPECT_THAT(read(none + std::string(R"("prompt": "Hi", "response": "Yo"})")),
                ElementsAre("user: Hi", "assistant: Yo"));
  }
  EXPECT_THAT(read(R"({"images": [], "image": "a.png", )" + tagged),
              ElementsAre("user: <image a.png>|\nWhat?"));
  EXPECT_THAT(read(R"({"images": ["a.png"], "image": "", )" + tagged),
              ElementsAre("user: <image a.png>|\nWhat?"));
  EXPECT_THAT(read(R"({"images": ["a.png"], "image": "a.png", )" + tagged),
              ElementsAre("user: <image a.png>|\nWhat?"));
  EXPECT_THAT(read(R"({"images": ["a.png"], "image": "b.png", )" + tagged)[0],
              HasSubstr("'images' and 'image' both hold files"));
  EXPECT_THAT(read(R"({"videos": [], "prompt": "<video>Go on", "response": "x"})")[0],
              HasSubstr("prompt: more <video> tags than files in 'videos', which holds 0"));
  EXPECT_THAT(read(R"({"audios": ["a.wav"], "prompt": "Hi", "response": "x"})")[0],
              HasSubstr("audios: 1 files, but 0 <audio> tags"));
}

TEST(Conversation, refuses_files_and_tags_that_do_not_match) {
  EXPECT_THAT(
      read(R"({"image": "1", "conversations": [{"from": "human", "value": "<image><image>"}]})")[0],
      HasSubstr("a.jsonl:7: conversations[0]: more <image> tags than files in 'image', which holds "
                "1"));
  EXPECT_THAT(read(R"({"image": "1", "conversations": [{"from": "human", "value": "x"}]})")[0],
              HasSubstr("1 files, but 0 <image> tags"));
}

TEST(Conversation, remembers_a_tag_without_a_column_and_what_may_be_meant) {
  const auto unfiled = [](const std::string& json) {
    return conversation_of(record(json)).take().unfiled;
  };
  const auto unfiled_tag_of = [&](const std::string& more, const std::string& text) {
    const auto tag =
        unfiled(R"({"messages": [{"role": "user", "content": ")" + text + R"("}])" + more + "}");
    if (!tag) return std::string("none");
    return tag->where + (tag->placeholder ? " placeholder " : " ") + std::string(tag->column) +
           " " + tag->likely;
  };
  EXPECT_EQ(unfiled_tag_of("", "no tag"), "none");
  EXPECT_EQ(unfiled_tag_of("", "What does <image> mean?"), "messages[0].content images ");
  EXPECT_EQ(unfiled_tag_of("", "<image>\\nWhat?"), "messages[0].content placeholder images ");
  EXPECT_EQ(unfiled_tag_of("", "What? <video>"), "messages[0].content placeholder videos ");
  EXPECT_EQ(unfiled_tag_of("", "<video>\\n<source></video>"), "messages[0].content videos ");
  EXPECT_EQ(unfiled_tag_of(R"(, "imgs": ["a.png"])", "A <image> B"),
            "messages[0].content images imgs");
  EXPECT_EQ(unfiled_tag_of(R"(, "image_path": "a", "image_id": 3)", "A <image> B"),
            "messages[0].content images image_path");
  EXPECT_EQ(unfiled_tag_of(R"(, "file": "data/A.JPG")", "A <image> B"),
            "messages[0].content images file");
  EXPECT_EQ(
      unfiled_tag_of(R"(, "image_size": [3, 4], "num_images": 2, "note": "x")", "A <image> B"),
      "messages[0].content images ");
  EXPECT_EQ(unfiled_tag_of(R"(, "images": ["a.png"])", "A <image> B <video> C"),
            "messages[0].content videos ");
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

TEST(Conversation, reads_alpacas_history_and_takes_the_tags_of_its_input) {
  EXPECT_THAT(
      read(R"({"instruction": "And?", "input": "", "output": "B", "history": [["First?", "A"]]})"),
      ElementsAre("user: First?", "assistant: A", "user: And?", "assistant: B"));
  EXPECT_THAT(
      read(
          R"({"prompt": "And?", "response": "B", "history": [["First?", "A"], ["b", "c"]], "system": "S"})"),
      ElementsAre("system: S", "user: First?", "assistant: A", "user: b", "assistant: c",
                  "user: And?", "assistant: B"));
  EXPECT_THAT(read(R"({"instruction": "", "input": "only", "output": "B", "history": []})"),
              ElementsAre("user: only", "assistant: B"));
  EXPECT_THAT(
      read(R"({"instruction": "What?", "input": "<image>", "output": "B", "images": ["1"]})"),
      ElementsAre("user: What?\n|<image 1>", "assistant: B"));
  for (const char* bad : {R"({"instruction": "x", "output": "y", "history": [["q"]]})",
                          R"({"instruction": "x", "output": "y", "history": [["q", null]]})",
                          R"({"instruction": "x", "output": "y", "history": [{"role": "user"}]})"})
    EXPECT_THAT(read(bad)[0], HasSubstr("history[0]: expected [question, answer]")) << bad;
  EXPECT_THAT(read(R"({"instruction": "x", "input": ["a"], "output": "y"})")[0],
              HasSubstr("input: expected a string, found array"));
  EXPECT_THAT(read(R"({"instruction": "x", "input": 3, "output": "y"})")[0],
              HasSubstr("input: expected a string, found number"));
  EXPECT_THAT(read(R"({"prompt": "x", "input": "more", "response": "y"})")[0],
              HasSubstr("input: is read beside 'instruction'"));
  EXPECT_THAT(read(R"({"conversations": [], "history": [["q", "a"]]})")[0],
              HasSubstr("history: is read beside 'instruction' or 'prompt'"));
}

TEST(Conversation, reads_the_reasoning_beside_an_answer) {
  EXPECT_THAT(read(R"({"prompt": "q", "response": "a", "reasoning_content": "hm"})"),
              ElementsAre("user: q", "assistant: (hm) a"));
  EXPECT_THAT(read(R"({"instruction": "q", "output": "a", "reasoning_content": ["hm"]})")[0],
              HasSubstr("reasoning_content: expected a string"));
  EXPECT_THAT(read(R"({"prompt": "q", "response": "a", "thinking": "hm"})")[0],
              HasSubstr("thinking: reasoning is read under 'reasoning_content'"));
  EXPECT_THAT(read(R"({"messages": [], "reasoning_content": "hm"})")[0],
              HasSubstr("reasoning_content: is read beside an answer"));
}

TEST(Conversation, reads_the_system_turn_of_a_column) {
  const auto expected = ElementsAre("system: S", "user: Hi");
  EXPECT_THAT(read(R"({"system": "S", "messages": [{"role": "user", "content": "Hi"}]})"),
              expected);
  EXPECT_THAT(
      read(R"({"system_prompt": "S", "conversations": [{"from": "human", "value": "Hi"}]})"),
      expected);
  EXPECT_THAT(
      read(
          R"({"system": "S", "conversations": [{"from": "system", "value": "S"}, {"from": "human", "value": "Hi"}]})"),
      expected);
  EXPECT_THAT(read(R"({"system": "", "messages": [{"role": "user", "content": "Hi"}]})"),
              ElementsAre("user: Hi"));
  EXPECT_THAT(read(R"({"system": "S", "messages": [{"role": "system", "content": "T"}]})")[0],
              HasSubstr("system: the conversation has another system turn"));
  EXPECT_THAT(read(R"({"system": ["S"], "messages": [{"role": "user", "content": "Hi"}]})")[0],
              HasSubstr("system: expected a string"));
}

TEST(Conversation, reads_calls_reasoning_and_weights) {
  EXPECT_THAT(read(R"({"messages": [
      {"role": "assistant", "content": null, "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{\"b\": 1, \"a\": null}"}},
                                                            {"name": "g", "arguments": {"x": 1.0}}, {"function": {"name": "h"}}]},
      {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": ""}},
      {"role": "assistant", "reasoning_content": "hm", "content": "x"},
      {"role": "assistant", "reasoning_content": "hm"},
      {"role": "observation", "content": "7"},
      {"role": "tool_call", "content": "[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\"}]"}]})"),
              ElementsAre(R"(assistant: f{"b": 1, "a": null}g{"x": 1.0}h{})", "assistant: f{}",
                          "assistant: (hm) x", "assistant: (hm) ", "tool: 7", "assistant: f{}g{}"));
  EXPECT_THAT(
      read(
          R"({"messages": [{"role": "user", "content": "a", "weight": 1, "train": false, "loss": 2.5}]})")
          [0],
      HasSubstr("messages[0].train: says the opposite of another key"));
  EXPECT_THAT(read(R"({"conversations": [{"from": "gpt", "value": "a", "weight": 0},
                                         {"from": "gpt", "value": "b", "train": false},
                                         {"from": "gpt", "value": "c", "loss": false},
                                         {"from": "gpt", "value": "d", "weight": 1.0, "loss": 2.5},
                                         {"from": "human", "value": "e", "weight": 1}]})"),
              ElementsAre("assistant (not trained): a", "assistant (not trained): b",
                          "assistant (not trained): c", "assistant: d", "user: e"));
}

TEST(Conversation, ignores_keys_that_say_nothing) {
  EXPECT_THAT(read(R"({"id": 3, "source": "web", "score": 0.5, "messages": [
      {"role": "assistant", "content": "x", "id": "m", "timestamp": 12, "name": "n", "tool_calls": [],
       "function_call": null, "refusal": null, "audio": null, "annotations": [], "images": [],
       "tool_call_id": "c", "loss": 1.5, "reasoning_content": ""}],
      "tools": [], "functions": null, "chat_template_kwargs": {"enable_thinking": true, "xml_tools": []}})"),
              ElementsAre("assistant: x"));
}

TEST(Conversation, refuses_by_name_what_is_not_laid_out) {
  const auto fault = [](const std::string& more) {
    return read(R"({"messages": [{"role": "assistant", "content": "x", )" + more + "}]}")[0];
  };
  EXPECT_EQ(
      fault(R"("weight": 0.5)"),
      "a.jsonl:7: messages[0].weight: weights between 0 and 1 are not built yet, found 0.5\n"
      "    fix: write 0 (or false) for a turn that is not trained, 1 (or true) for one that is");
  EXPECT_THAT(fault(R"("train": "no")"), HasSubstr("messages[0].train: weights between"));
  for (const char* key : {"refusal", "audio", "images", "video", "tools", "reasoning_details"})
    EXPECT_THAT(fault("\"" + std::string(key) + R"(": "said")"),
                HasSubstr("messages[0]." + std::string(key) + ": not laid out yet"));
  EXPECT_THAT(fault(R"("thinking": "hm")"), HasSubstr("read under 'reasoning_content'"));
  EXPECT_THAT(fault(R"("reasoning_content": ["hm"])"),
              HasSubstr("reasoning_content: expected a string, found array"));
  EXPECT_THAT(fault(R"("tool_calls": [{"function": {"arguments": {}}}])"),
              HasSubstr("messages[0].tool_calls[0]: expected {\"name\""));
  EXPECT_THAT(fault(R"("tool_calls": [{"function": {"name": "f", "arguments": "{"}}])"),
              HasSubstr("messages[0].tool_calls[0].arguments: not valid JSON"));
  EXPECT_THAT(fault(R"("function_call": {"name": "f", "arguments": [1]})"),
              HasSubstr("function_call.arguments: expected a JSON object, found array"));
  EXPECT_THAT(
      read(R"({"messages": [{"role": "user", "content": "x", "reasoning_content": "hm"}]})")[0],
      HasSubstr("reasoning_content: is the assistant's, found in a turn of 'user'"));
  EXPECT_THAT(read(R"({"messages": [{"role": "user", "content": "x", "train": true}]})")[0],
              HasSubstr("messages[0].train: is true in a turn of 'user'"));
  EXPECT_THAT(read(R"({"conversations": [{"from": "function_call", "value": "call it"}]})")[0],
              HasSubstr("conversations[0]: not valid JSON"));
  EXPECT_THAT(read(R"({"tools": "{}", "prompt": "x", "response": "y"})")[0],
              HasSubstr("tools: expected a list of tools, found object"));
  EXPECT_THAT(read(R"({"tools": [3], "prompt": "x", "response": "y"})")[0],
              HasSubstr("tools[0]: expected an object"));
  EXPECT_THAT(
      read(R"({"chat_template_kwargs": {"xml_tools": ["x"]}, "prompt": "x", "response": "y"})")[0],
      HasSubstr("chat_template_kwargs.xml_tools: not laid out yet"));
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
  EXPECT_THAT(
      fault(
          R"({"messages": [{"role": "u", "content": [{"type": "text", "text": "x", "image": "a.png"}]}]})"),
      HasSubstr("content[0].image: in a part of another type"));
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
