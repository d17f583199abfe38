#pragma once
/// Partial sums over rows; kernels/partial_sums/ adds them up.
#include <cstdint>

struct CUstream_st;

namespace lmms::kernels {

/// Rows of partial sums that column_sum_cuda writes for a [T, N] matrix.
int64_t column_sum_rows(int64_t T, int64_t N);
/// partials[r, n] = sum over the r-th share of the rows of x[t, n]. x [T, N] bf16, contiguous, N a
/// multiple of 8; partials [column_sum_rows(T, N), N] fp32. Bytes moved: 2 * T * N.
void column_sum_cuda(const void* x, int64_t T, int64_t N, float* partials, CUstream_st*);

}  // namespace lmms::kernels
