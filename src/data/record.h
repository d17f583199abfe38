#pragma once
/// One raw example as its file holds it.
#include <memory>
#include <string>

#include "data/json_value.h"
#include "data/sample.h"

namespace lmms::data {

/// A row of a source. Columnar and text formats look the same here: an object of named values.
/// Binary columns are json binary values, all strings are valid UTF-8. A null member says as little
/// as an absent one (find_member); columnar formats drop them at every depth, for merged schemas
/// fill missing keys with null. NaN and infinities count as null. What cannot be read stands there
/// as an unreadable value (data/unreadable.h).
struct Record {
  Origin origin;
  Json fields = Json::object();
  /// Folder that relative media paths of this record are joined to; null or empty: none.
  std::shared_ptr<const std::string> data_folder;
};

}  // namespace lmms::data
