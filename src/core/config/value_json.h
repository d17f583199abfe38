#pragma once
/// Free values as JSON, the language of model configs.
#include <nlohmann/json.hpp>

#include "core/config/value.h"

namespace lmms::config {

nlohmann::json to_json(const Value& value);

}  // namespace lmms::config
