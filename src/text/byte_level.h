#pragma once
/// The printable stand-ins for bytes in which byte-level BPE files write their tokens (GPT-2's
/// bytes_to_unicode): "Ġthe" is " the". 256 characters, all below U+0144.
#include <optional>
#include <string>
#include <string_view>

namespace lmms::text {

/// The bytes that a token's written form stands for; nullopt if a character of it stands for no
/// byte.
std::optional<std::string> bytes_of_written(std::string_view written);

/// The written form of bytes.
std::string written_of_bytes(std::string_view bytes);

}  // namespace lmms::text
