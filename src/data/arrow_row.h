#pragma once
/// Rows of Arrow batches as JSON values.
#include <optional>
#include <string>

#include "data/json_value.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace lmms::data {

/// Why rows of a schema can't be read: a column whose name is not valid UTF-8; nullopt if they can.
std::optional<std::string> unreadable(const arrow::Schema& schema);

/// Row `row` of a batch that passed RecordBatch::Validate() and whose schema is readable: an object
/// of its columns; nulls are left out, and NaN and infinities with them. What Validate() does not
/// look at (offsets, dictionary indices, UTF-8) is checked here for this row alone, so that no row
/// costs a whole batch. Bytes under a key of chats that has text are text if they are UTF-8. A
/// value that is broken, or of a type that has no form in JSON, is an unreadable value
/// (data/unreadable.h): it costs the row only where it is needed.
Json arrow_row(const arrow::RecordBatch& batch, int64_t row);

}  // namespace lmms::data
