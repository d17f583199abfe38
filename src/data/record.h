#pragma once
/// One raw example as its file holds it.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "data/sample.h"

namespace lmms::data {

/// A row of a source. Columnar and text formats look the same here: an object of named values. Null
/// members are dropped at every depth (merged schemas fill missing keys with null), and NaN and
/// infinities count as null; binary columns are json binary values, all strings are valid UTF-8.
/// What cannot be read stands there as an unreadable value (data/unreadable.h).
struct Record {
  Origin origin;
  nlohmann::json fields = nlohmann::json::object();
  /// Folder that relative media paths of this record are joined to; null or empty: none.
  std::shared_ptr<const std::string> data_folder;
};

}  // namespace lmms::data
