#pragma once
/// The state of a schedule that follows a metric, in a checkpoint's state.json.
#include <nlohmann/json_fwd.hpp>

#include "optim/metric_schedule.h"

namespace lmms::optim {

/// Every number comes back to the last bit; those that JSON lacks are text ("nan", "inf").
nlohmann::json to_json(const MetricScheduleState& state);
/// Throws nlohmann::json::exception where a key is missing or has another type.
MetricScheduleState metric_schedule_from(const nlohmann::json& json);

}  // namespace lmms::optim
