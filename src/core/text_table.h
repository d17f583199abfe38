#pragma once
/// Tables of names and texts on the screen.
#include <string>
#include <utility>
#include <vector>

namespace lmms {

using TableRows = std::vector<std::pair<std::string, std::string>>;

/// Names on the left, values on the right; values wrap at `width` columns.
std::string render_table(const TableRows& rows, int width);

}  // namespace lmms
