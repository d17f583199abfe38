#pragma once
/// Tools, calls, results and reasoning as text of ordinary turns, as the templates of Qwen2.5 and
/// Qwen3 write them:
///
///     <|im_start|>system\n ... \n\n# Tools ... <tools>\nTOOL\n</tools> ... <|im_end|>\n
///     <|im_start|>assistant\n<think>\nREASONING\n</think>\n\nTEXT\n<tool_call>\nCALL\n</tool_call>
///     <|im_start|>user\n<tool_response>\nRESULT\n</tool_response>   (results in a row share a
///     turn)
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/chat.h"

namespace lmms::text {

/// How a checkpoint writes them; Qwen2.5's where its template says nothing.
struct ToolLayout {
  enum class Form : uint8_t {
    none,   ///< the template knows none
    qwen,   ///< this one
    other,  ///< another one, or turns that are not ChatML's: not built
  };
  Form tools = Form::none, reasoning = Form::none;
  /// Arguments that a record has as text are written to the letter; Qwen2.5 writes the object.
  bool arguments_as_written = false;
};

/// The layout of a checkpoint's own Jinja template, told by its marks.
ToolLayout tool_layout(std::string_view jinja);

/// Whether a chat has what is laid out here: tools, calls, results or reasoning.
bool has_tools(const Chat& chat);
bool has_reasoning(const Chat& chat);

/// Turns of which each is laid out by itself, and the message that each begins with.
struct PlainTurns {
  std::vector<ChatMessage> turns;
  std::vector<size_t> messages;
};

/// A chat as turns without tools, calls, results and reasoning. One that has none of these stays as
/// it is. `system`: the text of the system turn of a chat without one, if there is to be any.
///
/// Reasoning is kept behind the last question of the user, and where the chat ends there with an
/// answer without any, a checkpoint that thinks has an empty block: Qwen3's rule. Earlier turns are
/// written without, and are no targets: an answer that was thought about is not learnt as one that
/// was not.
Result<PlainTurns> plain_turns(const Chat& chat, const ToolLayout& layout,
                               const std::optional<std::string>& system);

/// The text of an answer with its reasoning and calls, as generation writes it.
std::string answer_text(const ChatMessage& answer, const ToolLayout& layout);

}  // namespace lmms::text
