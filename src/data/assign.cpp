#include "data/assign.h"

#include <algorithm>

namespace lmms::data {

std::vector<Assignment> assign(std::span<const RowDescriptor> rows, int32_t ranks,
                               int64_t rows_per_micro_step) {
  std::vector<Assignment> result;
  result.reserve(rows.size());
  for (int64_t i = 0; i < static_cast<int64_t>(rows.size()); ++i) {
    result.push_back(
        {static_cast<int32_t>(i % ranks), static_cast<int32_t>(i / ranks / rows_per_micro_step)});
  }
  return result;
}

int64_t micro_steps_of(int64_t rows, int32_t ranks, int64_t rows_per_micro_step) {
  const int64_t rows_per_rank = (rows + ranks - 1) / ranks;
  return std::max<int64_t>(1, (rows_per_rank + rows_per_micro_step - 1) / rows_per_micro_step);
}

}  // namespace lmms::data
