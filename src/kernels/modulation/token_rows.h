#pragma once
/// Which row of a small matrix [S, D] (one row a sample) each of T tokens takes.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/attention/attention_plan.h"

namespace lmms::kernels {

/// The first tokens take row 0, those behind them row 1, and so on; tokens behind the last of row
/// S - 1 (a pad) take none.
struct TokenRows {
  int64_t rows = 0;    ///< S
  at::Tensor lengths;  ///< int64 on the host: tokens of each row, [S], or [1] where all are equal
  at::Tensor starts;   ///< [S + 1] int32 on the device: prefix sums; undefined where all are equal
};

/// `each` tokens a row; 1: every token has a row of its own.
TokenRows equal_rows(int64_t rows, int64_t each);
/// lengths[s] tokens take row s. One copy to `device`, without waiting.
TokenRows ragged_rows(const std::vector<int64_t>& lengths, at::Device device);
/// Row s belongs to segment s of the plan, for its first `rows` segments.
TokenRows rows_of_segments(const AttentionPlan& plan, int64_t rows);

}  // namespace lmms::kernels
