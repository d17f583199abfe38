#pragma once
/// Rows of Arrow batches as JSON values.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/error.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace lmms::data {

/// Why rows of a schema can't be read: a column whose name is not valid UTF-8; nullopt if they can.
std::optional<std::string> unreadable(const arrow::Schema& schema);

/// Row `row` of a batch that passed RecordBatch::Validate() and whose schema is readable: an object
/// of its columns, nulls left out. What Validate() does not look at (offsets, dictionary indices,
/// UTF-8) is checked here for this row alone, so that a broken row costs nothing but itself and no
/// row costs a whole batch. Faults have no `where`; `what` names the column.
Result<nlohmann::json> arrow_row(const arrow::RecordBatch& batch, int64_t row);

}  // namespace lmms::data
