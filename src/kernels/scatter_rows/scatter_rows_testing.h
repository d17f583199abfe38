#pragma once
#include <ATen/core/Tensor.h>

#include "kernels/scatter_rows/scatter_rows_cases.h"

namespace lmms::kernels::testing {

/// The three ops against ATen's of indices, forward and backward, in fp32 and bf16: copies are
/// exact and sums are of two numbers, so nothing may differ.
void expect_rows_equal_index_ops(const ScatterRowsCase& c, at::Device device);

}  // namespace lmms::kernels::testing
