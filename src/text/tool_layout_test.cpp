#include "text/tool_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms::text {
namespace {

using Form = ToolLayout::Form;
using testing::HasSubstr;

constexpr std::string_view kTools =
    "<|im_start|><|im_end|>{% if tools %}<tools></tools> XML tags <function-name> "
    "<args-json-object>{{ '\\n<tool_response>\\n' }}";

TEST(ToolLayout, is_told_by_the_marks_of_a_template) {
  const auto forms = [](const std::string& jinja) {
    const ToolLayout layout = tool_layout(jinja);
    return std::pair(layout.tools, layout.reasoning);
  };
  const std::string tools(kTools);
  EXPECT_EQ(forms(""), std::pair(Form::none, Form::none));
  EXPECT_EQ(forms(tools), std::pair(Form::qwen, Form::none));
  const std::string thinks =
      "{{ last_query_index }}{{ '\\n<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}";
  EXPECT_EQ(forms(tools + thinks), std::pair(Form::qwen, Form::qwen));
  EXPECT_EQ(forms(tools + "{{ content.split('</think>')[-1] }}"),
            std::pair(Form::qwen, Form::other));
  EXPECT_EQ(forms("<|im_start|><|im_end|>{% if tools %}<function=name>"),
            std::pair(Form::other, Form::none));
  EXPECT_EQ(forms("{% if tools %}<|python_tag|>{% endif %}"), std::pair(Form::other, Form::none));
  EXPECT_FALSE(tool_layout(tools).arguments_as_written);
  EXPECT_TRUE(tool_layout(tools + "{% if c.arguments is string %}").arguments_as_written);
}

ChatMessage message(std::string role, std::string text) {
  return {std::move(role), {{.text = std::move(text)}}};
}

TEST(ToolLayout, writes_an_answer_as_generation_does) {
  ChatMessage answer = message("assistant", "So:");
  answer.reasoning = "\nhm\n";
  answer.calls = {{"f", R"({"a": 1})", R"({"a":1})"}, {"g", "{}"}};
  EXPECT_EQ(answer_text(answer, {}),
            "<think>\nhm\n</think>\n\nSo:\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": "
            "1}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>");
  answer.parts.clear();
  answer.reasoning.reset();
  EXPECT_THAT(answer_text(answer, {.arguments_as_written = true}),
              testing::StartsWith("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\":1}}\n"));
}

TEST(ToolLayout, keeps_media_of_a_result_between_its_tags) {
  ChatMessage result = message("tool", "see ");
  result.parts.push_back({.kind = PartKind::image, .pads = {{3}}});
  result.parts.push_back({.text = " there"});
  const Chat chat{{}, {message("user", "x"), result, message("tool", "b")}};
  const PlainTurns plain = plain_turns(chat, {}, std::nullopt).take();
  ASSERT_EQ(plain.turns.size(), 2u);
  EXPECT_EQ(plain.messages, (std::vector<size_t>{0, 1}));
  const auto& parts = plain.turns[1].parts;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].text, "<tool_response>\nsee ");
  EXPECT_EQ(parts[1].kind, PartKind::image);
  EXPECT_EQ(parts[2].text, " there\n</tool_response>\n<tool_response>\nb\n</tool_response>");
  EXPECT_TRUE(parts[2].in_text);
}

TEST(ToolLayout, writes_tools_into_a_system_turn_of_their_own_where_there_is_none) {
  const Chat chat{{"{}"}, {message("user", "x")}};
  const auto text = [&](const std::optional<std::string>& system) {
    const PlainTurns plain = plain_turns(chat, {}, system).take();
    EXPECT_EQ(plain.turns[0].role, "system");
    return plain.turns[0].parts[0].text;
  };
  EXPECT_THAT(text("S"), testing::StartsWith("S\n\n# Tools\n\n"));
  EXPECT_THAT(text(std::nullopt), testing::StartsWith("# Tools\n\n"));
}

}  // namespace
}  // namespace lmms::text
