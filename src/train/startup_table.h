#pragma once
/// What a run is about to do, in a table on the screen.
#include <string>

#include "core/text_table.h"
#include "train/run_loop.h"

namespace lmms::train {

/// Model, parameters, data, rows a step, schedule, device, kernels, keys that choose only speed or
/// layout.
TableRows describe_run(const RunParts& parts, const RunState& state,
                       const std::string& peak_source);

}  // namespace lmms::train
