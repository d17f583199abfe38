#include "text/tool_layout.h"

#include <algorithm>

#include "core/format.h"
#include "text/jinja_text.h"

namespace lmms::text {
namespace {

// What a checkpoint of Qwen was trained with, to the letter.
constexpr std::string_view kBeforeTools =
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>";
constexpr std::string_view kBehindTools =
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    "{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>";
constexpr std::string_view kResult = "<tool_response>", kResultEnd = "</tool_response>";
constexpr std::string_view kThink = "<think>", kThinkEnd = "</think>";

std::string tools_text(const std::vector<std::string>& tools) {
  std::string text(kBeforeTools);
  for (const std::string& tool : tools) text += "\n" + tool;
  return text.append(kBehindTools);
}

std::string call_text(const ToolCall& call, const ToolLayout& layout) {
  const std::string& arguments =
      layout.arguments_as_written && call.written ? *call.written : call.arguments;
  return fmt::format("<tool_call>\n{{\"name\": \"{}\", \"arguments\": {}}}\n</tool_call>",
                     call.name, arguments);
}

std::string text_of(const ChatMessage& message) {
  std::string text;
  for (const ChatPart& part : message.parts) text += part.text;
  return text;
}

bool is_text(const ChatMessage& message) {
  return std::ranges::all_of(message.parts,
                             [](const ChatPart& part) { return part.kind == PartKind::text; });
}

void append_text(ChatMessage& message, std::string_view text) {
  if (!message.parts.empty() && message.parts.back().kind == PartKind::text) {
    message.parts.back().text += text;
  } else {
    const bool goes_on = !message.parts.empty();
    message.parts.push_back({.text = std::string(text), .in_text = goes_on});
  }
}

void prepend_text(ChatMessage& message, std::string text) {
  if (!message.parts.empty() && message.parts.front().kind == PartKind::text) {
    message.parts.front().text.insert(0, text);
  } else {
    message.parts.insert(message.parts.begin(), {.text = std::move(text)});
  }
}

std::string_view without_breaks_in_front(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of('\n'), text.size()));
}

std::string_view without_breaks_behind(std::string_view text) {
  return text.substr(0, text.find_last_not_of('\n') + 1);
}

bool is_wrapped_result(std::string_view text) {
  return text.starts_with(kResult) && text.ends_with(kResultEnd);
}

/// The last turn of the user that is a question; without one, the last turn.
size_t last_question(const std::vector<ChatMessage>& messages) {
  for (size_t i = messages.size(); i-- > 0;) {
    if (messages[i].role == "user" && !is_wrapped_result(text_of(messages[i]))) return i;
  }
  return messages.empty() ? 0 : messages.size() - 1;
}

/// Takes the thoughts out of an answer: its reasoning, or what stands in its text before </think>.
std::string take_reasoning(ChatMessage& answer) {
  if (answer.reasoning) {
    std::string reasoning = *std::move(answer.reasoning);
    answer.reasoning.reset();
    return reasoning;
  }
  const std::string text = text_of(answer);
  const size_t first_end = text.find(kThinkEnd);
  if (first_end == std::string::npos || !is_text(answer)) return "";
  std::string_view thoughts = without_breaks_behind(std::string_view(text).substr(0, first_end));
  if (const size_t begin = thoughts.rfind(kThink); begin != std::string_view::npos)
    thoughts.remove_prefix(begin + kThink.size());
  const std::string_view rest =
      std::string_view(text).substr(text.rfind(kThinkEnd) + kThinkEnd.size());
  answer.parts = {{.text = std::string(without_breaks_in_front(rest))}};
  return std::string(without_breaks_in_front(thoughts));
}

void put_reasoning(ChatMessage& answer, std::string_view reasoning) {
  reasoning = without_breaks_in_front(without_breaks_behind(reasoning));
  if (!answer.parts.empty() && answer.parts.front().kind == PartKind::text) {
    std::string& text = answer.parts.front().text;
    text = without_breaks_in_front(text);
  }
  prepend_text(answer, fmt::format("{}\n{}\n{}\n\n", kThink, reasoning, kThinkEnd));
}

/// `begun`: whether something stands before the calls.
void put_calls(ChatMessage& answer, const ToolLayout& layout, bool begun) {
  for (const ToolCall& call : answer.calls) {
    append_text(answer, (begun ? "\n" : "") + call_text(call, layout));
    begun = true;
  }
  answer.calls.clear();
}

/// Adds a result to the turn of the results before it.
void put_result(const ChatMessage& result, bool first, ChatMessage& turn) {
  if (!first) append_text(turn, "\n");
  const bool wrapped = is_text(result) && is_wrapped_result(text_of(result));
  if (!wrapped) append_text(turn, fmt::format("{}\n", kResult));
  for (const ChatPart& part : result.parts) {
    if (part.kind == PartKind::text) {
      append_text(turn, part.text);
    } else {
      turn.parts.push_back(part);
      turn.parts.back().in_text = true;
    }
  }
  if (!wrapped) append_text(turn, fmt::format("\n{}", kResultEnd));
}

std::optional<Fault> not_built(const Chat& chat, const ToolLayout& layout) {
  const auto fault = [](const char* what) {
    return Fault{"",
                 fmt::format("{} in the form of this checkpoint's chat template: not built yet; "
                             "those of Qwen2.5 and Qwen3 are",
                             what),
                 "use the tokenizer of a checkpoint with one of these, or write the text of the "
                 "turns out as their content"};
  };
  if (layout.tools == ToolLayout::Form::other && has_tools(chat))
    return fault("tools, tool_calls and results of tools");
  if (layout.reasoning == ToolLayout::Form::other && has_reasoning(chat))
    return fault("reasoning_content");
  return std::nullopt;
}

}  // namespace

ToolLayout tool_layout(std::string_view jinja) {
  using Form = ToolLayout::Form;
  const std::string text = with_breaks(jinja);
  const auto has = [&](std::string_view mark) { return text.find(mark) != std::string::npos; };
  ToolLayout layout;
  const bool frames = has("<|im_start|>") && has("<|im_end|>");
  if (has("tools") || has("tool_call")) {
    const bool ours = frames && has("<tools></tools> XML tags") && has("<function-name>") &&
                      has("<args-json-object>") && has("\n<tool_response>\n");
    layout.tools = ours ? Form::qwen : Form::other;
  }
  if (has("reasoning_content") || has("</think>")) {
    const bool ours = frames && has("last_query_index") && has("\n<think>\n") &&
                      has("\n</think>\n\n") && layout.tools == Form::qwen;
    layout.reasoning = ours ? Form::qwen : Form::other;
  }
  layout.arguments_as_written = has("arguments is string");
  return layout;
}

bool has_tools(const Chat& chat) {
  return !chat.tools.empty() || std::ranges::any_of(chat.messages, [](const ChatMessage& m) {
    return m.role == "tool" || !m.calls.empty();
  });
}

bool has_reasoning(const Chat& chat) {
  return std::ranges::any_of(chat.messages,
                             [](const ChatMessage& m) { return m.reasoning.has_value(); });
}

Result<PlainTurns> plain_turns(const Chat& chat, const ToolLayout& layout,
                               const std::optional<std::string>& system) {
  PlainTurns out;
  const bool tools = has_tools(chat), reasoning = has_reasoning(chat);
  if (auto fault = not_built(chat, layout)) return *std::move(fault);
  if (!chat.tools.empty()) {
    ChatMessage turn{"system", {}};
    if (!chat.messages.empty() && chat.messages[0].role == "system") {
      turn = chat.messages[0];
    } else if (system) {
      append_text(turn, *system);
    }
    append_text(turn, (turn.parts.empty() ? "" : "\n\n") + tools_text(chat.tools));
    out.turns.push_back(std::move(turn));
    out.messages.push_back(0);
  }
  const bool thinks = reasoning || (tools && layout.reasoning == ToolLayout::Form::qwen);
  const size_t question = last_question(chat.messages);
  for (size_t i = 0; i < chat.messages.size(); ++i) {
    const ChatMessage& message = chat.messages[i];
    if (i == 0 && !chat.tools.empty() && message.role == "system") continue;
    if (message.role == "tool") {
      const bool first = i == 0 || chat.messages[i - 1].role != "tool";
      if (first) {
        out.turns.push_back({"user", {}});
        out.messages.push_back(i);
      }
      put_result(message, first, out.turns.back());
      continue;
    }
    out.turns.push_back(message);
    out.messages.push_back(i);
    if (message.role != "assistant" || (!tools && !reasoning)) continue;
    ChatMessage& answer = out.turns.back();
    const std::string thoughts = thinks ? take_reasoning(answer) : "";
    const bool begun = !is_text(answer) || !text_of(answer).empty();
    if (thinks && i > question && (i + 1 == chat.messages.size() || !thoughts.empty())) {
      put_reasoning(answer, thoughts);
    } else if (!thoughts.empty()) {
      answer.trained = false;
    }
    put_calls(answer, layout, begun);
  }
  return out;
}

std::string answer_text(const ChatMessage& answer, const ToolLayout& layout) {
  ChatMessage written = answer;
  const bool begun = !text_of(answer).empty();
  if (written.reasoning) put_reasoning(written, take_reasoning(written));
  put_calls(written, layout, begun);
  return text_of(written);
}

}  // namespace lmms::text
