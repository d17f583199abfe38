#pragma once
/// JSON files of checkpoint folders.
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "checkpoint/checksums.h"
#include "core/error.h"

namespace lmms::checkpoint {

/// Parses an object. The fault says at which line and column the text breaks. Nesting beyond 64
/// levels is refused (writing or comparing such a value would exhaust the stack). What Python's
/// json module writes beyond plain JSON is read as core/plain_json.h has it.
Result<nlohmann::json> parse_json_object(std::string_view text, const std::string& where);
/// As parse_json_object, of a file.
Result<nlohmann::json> read_json_object(const std::filesystem::path& path);
/// Writes as Python's json.dumps(indent=2, sort_keys=True) plus a newline, and fsyncs. Text that is
/// not UTF-8 (a file's name) is written with U+FFFD. Throws Error.
FileSum write_json(const std::filesystem::path& path, const nlohmann::json& value);

}  // namespace lmms::checkpoint
