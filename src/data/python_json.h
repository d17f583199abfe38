#pragma once
/// JSON as Python's json module reads it, which is more than the standard.
#include <string_view>

#include "core/error.h"
#include "data/json_value.h"

namespace lmms::data {

/// Parses one JSON value. Beyond the standard:
///   NaN, Infinity, -Infinity, and numbers beyond the doubles (1e400)   null
///   integers beyond 64 bits                                            doubles
///   "\ud800", half of a pair of surrogates    an unreadable value (data/unreadable.h); in a key
///                                             U+FFFD
///   a byte order mark in front                passed over
/// It takes several times as long as simdjson and says where and why text is broken: a Fault
/// without a `where`.
Result<Json> parse_python_json(std::string_view text, int max_depth);

}  // namespace lmms::data
