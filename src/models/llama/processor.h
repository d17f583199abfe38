#pragma once
/// `processor_type: llama3`: chats of text for Llama 3, 3.1, 3.2 and 3.3.
#include <optional>
#include <string>
#include <string_view>

#include "models/processor_entry.h"
#include "text/chat_template.h"

namespace lmms::models::llama {

const ProcessorEntry& processor();

/// <|begin_of_text|>, then <|start_header_id|>ROLE<|end_header_id|>\n\nTEXT<|eot_id|> for each
/// turn, texts without the white space around them. What varies is as the checkpoint's own template
/// has it, told by its marks: those of 3.1 and later open with a system turn that names
/// two dates ("Cutting Knowledge Date", "Today Date"), whether the conversation has one or not.
/// Where the template asks a clock for the latter, it is the date that it falls back to. An empty
/// template: 3.0's, without such a turn.
text::TurnLayout turn_layout(std::string_view jinja);

/// How that template departs from the layout, for a notice; nullopt if it does not.
std::optional<std::string> template_difference(std::string_view jinja);

}  // namespace lmms::models::llama
