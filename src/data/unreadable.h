#pragma once
/// What stands in a record where a value cannot be read.
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "data/json_value.h"

namespace lmms::data {

/// Stands for a value that has no form here: of a column type that is not read, a text that is not
/// UTF-8. Like any other key it is ignored where nobody asks for it. It is neither null nor text,
/// so that whoever needs it refuses it. (A json binary value with a tag of its own.)
Json unreadable_value(std::string_view why);
/// Why; nullopt for every other value.
std::optional<std::string> why_unreadable(const Json& value);

/// A fault of a record that has these fields, with the reasons of the unreadable values under the
/// keys that it speaks of: "messages[0].content: expected a string, found binary;
/// messages[0].content: not valid UTF-8".
Fault with_reasons(Fault fault, const Json& fields);

}  // namespace lmms::data
