#pragma once
/// JSON text -> value, for rows of data.
#include <string_view>

#include "core/error.h"
#include "data/json_value.h"

namespace lmms::data {

/// Parses one JSON value; what Python's json module takes beyond the standard is taken
/// (data/python_json.h). Checks UTF-8 in all of the text, duplicate keys: the last value wins, in
/// the place of the first, nesting: at most 1024 deep. The Fault has no `where`; its `what` says
/// line, column and what was expected.
Result<Json> parse_json(std::string_view text);

}  // namespace lmms::data
