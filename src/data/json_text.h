#pragma once
/// JSON text -> value, for rows of data.
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"

namespace lmms::data {

/// Parses one JSON value and drops null members of objects at every depth; what Python's json
/// module takes beyond the standard is taken (data/python_json.h). Checks UTF-8 in all of the text,
/// duplicate keys: the last wins, nesting: at most 1024 deep. The Fault has no `where`; its `what`
/// says line, column and what was expected.
Result<nlohmann::json> parse_json(std::string_view text);

}  // namespace lmms::data
