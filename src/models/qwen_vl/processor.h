#pragma once
/// `processor_type: qwen2_5_vl` and `qwen3_vl`: chats with images and videos for Qwen2.5-VL and
/// Qwen3-VL.
#include "models/processor_entry.h"

namespace lmms::models::qwen_vl {

const ProcessorEntry& qwen2_5_processor();
const ProcessorEntry& qwen3_processor();

}  // namespace lmms::models::qwen_vl
