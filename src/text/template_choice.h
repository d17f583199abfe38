#pragma once
/// Whether a checkpoint's own chat template writes what a built-in layout writes.
#include "text/chat_template.h"

namespace lmms::text {

/// Of chats of all kinds that both know: texts with white space at their ends, several turns, media
/// if the layout has them, tools and reasoning if the template speaks of them. Each has a system
/// turn of its own: what a layout puts in front of a chat without one does not count.
bool lay_out_the_same(const ChatTemplate& built_in, const ChatTemplate& own);

}  // namespace lmms::text
