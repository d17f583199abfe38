#pragma once
/// What a record and its messages say elsewhere than in their texts: tools, calls, reasoning,
/// which answers are trained. It is read, or refused by name where it means something that is not
/// laid out; other keys are ignored.
///
/// Read, of a message:
///   tool_calls          [{"function": {"name", "arguments": object | JSON text}}], or without
///                       "function" around it; function_call: one such, OpenAI's older form
///   reasoning_content   text
///   weight 0 | 1, train, training, loss true | false     whether the answer is a target
///   role                tool, function, observation, tool_response: a result of a tool;
///                       function_call, tool_call: an answer whose content is calls as JSON text
/// Of a record:
///   tools               a list of objects (or of JSON texts), or the list as JSON text
///   functions           OpenAI's older form: objects without {"type": "function", "function": ...}
///   system, system_prompt   the text of the system turn
///   reasoning_content   of the answer of `instruction` and `prompt`
///
/// Refused, of a message: other weights, training of turns that are not answers, refusal, audio,
/// images and videos of a message, reasoning under other names, tools of a message.
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/conversation.h"
#include "data/record.h"

namespace lmms::data {

/// Reads all but role and parts into `message`, which has these already.
std::optional<Fault> read_extras(const Json& entry, const std::string& path, Message& message);

/// The same of the answer of a form whose record is a question and its answer.
std::optional<Fault> read_answer_extras(const Json& fields, Message& answer);

/// Whether a message says something that needs no content beside it.
bool speaks_without_content(const Json& entry);

/// Makes a turn of role function_call an answer with calls, and gives results of tools the role
/// "tool".
std::optional<Fault> read_role(const std::string& path, Message& message);

/// The tools of a record.
Result<std::vector<std::string>> tools_of(const Json& fields);

/// Puts the system turn in front that a column of the record holds.
std::optional<Fault> add_system(const Json& fields, std::vector<Message>& messages);

/// What a record says beside a conversation of the form `form` ("messages", ...), and what is not
/// laid out.
std::optional<Fault> refuse_columns(const Json& fields, std::string_view form);

}  // namespace lmms::data
