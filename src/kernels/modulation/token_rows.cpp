#include "kernels/modulation/token_rows.h"

#include <algorithm>

#include "kernels/on_device.h"

namespace lmms::kernels {
namespace {

at::Tensor on_host(const std::vector<int64_t>& numbers) {
  return on_device(numbers, at::kLong, at::kCPU);
}

}  // namespace

TokenRows equal_rows(int64_t rows, int64_t each) {
  return {rows, on_host({each}), {}};
}

TokenRows ragged_rows(const std::vector<int64_t>& lengths, at::Device device) {
  std::vector<int32_t> starts{0};
  for (const int64_t n : lengths) starts.push_back(starts.back() + static_cast<int32_t>(n));
  return {static_cast<int64_t>(lengths.size()), on_host(lengths),
          on_device(starts, at::kInt, device)};
}

TokenRows rows_of_segments(const AttentionPlan& plan, int64_t rows) {
  TORCH_INTERNAL_ASSERT(rows > 0 && rows <= static_cast<int64_t>(plan.lengths.size()), rows,
                        " rows for ", plan.lengths.size(), " segments");
  const std::vector<int64_t> lengths(plan.lengths.begin(), plan.lengths.begin() + rows);
  if (std::all_of(lengths.begin(), lengths.end(), [&](int64_t n) { return n == lengths[0]; }))
    return equal_rows(rows, lengths[0]);
  return {rows, on_host(lengths), plan.cu_seqlens.narrow(0, 0, rows + 1)};
}

}  // namespace lmms::kernels
