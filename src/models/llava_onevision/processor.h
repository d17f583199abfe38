#pragma once
/// `processor_type: llava`: chats with images and videos for LLaVA-OneVision.
#include <string_view>

#include "models/processor_entry.h"
#include "text/chat_template.h"

namespace lmms::models::llava_onevision {

const ProcessorEntry& processor();

/// The layout of turns as the checkpoint's own template has it, told by its marks: some
/// write `<|im_start|>user <image>\ntext<|im_end|>`, some break lines behind the role and the turn.
/// A template without `<image>` is none of theirs: the former.
text::TurnLayout turn_layout(std::string_view jinja);

}  // namespace lmms::models::llava_onevision
