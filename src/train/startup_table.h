#pragma once
/// What a run is about to do, in a table on the screen.
#include <string>
#include <utility>
#include <vector>

#include "train/run_loop.h"

namespace lmms::train {

using TableRows = std::vector<std::pair<std::string, std::string>>;

/// Names on the left, values on the right; values wrap at `width`.
std::string render_table(const TableRows& rows, int width);

/// Model, parameters, data, rows a step, schedule, device, kernels, keys that choose only speed or
/// layout.
TableRows describe_run(const RunParts& parts, const RunState& state,
                       const std::string& peak_source);

}  // namespace lmms::train
