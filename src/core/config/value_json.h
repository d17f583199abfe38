#pragma once
/// Free values as JSON, the language of model configs.
#include <nlohmann/json.hpp>

#include "core/config/value.h"

namespace lmms::config {

/// Maps keep the order of the file.
nlohmann::ordered_json to_json(const Value& value);

}  // namespace lmms::config
