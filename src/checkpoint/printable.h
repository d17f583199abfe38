#pragma once
/// Names from outside, made fit for a message.
#include <string>
#include <string_view>

namespace lmms::checkpoint {

/// In single quotes; control characters become \xNN, and what is longer than 200 bytes is cut.
std::string printable(std::string_view name);

}  // namespace lmms::checkpoint
