#pragma once
/// Rows taken out of a matrix and put into one: supervised positions before the head, features of
/// images among the embeddings of text. Row numbers are unique and ascend, so nothing is added up
/// by atomics and every result has the same bits in every run.
#include <ATen/core/Tensor.h>

namespace lmms::kernels {

// x [T, H] and values [M, H] of one dtype, rows [M] int64 in [0, T), ascending, none twice.
// Gradients for x and values where they want them.

/// y[i] = x[rows[i]], [M, H]. Backward writes each row of dx once: dx[rows[i]] = dy[i], else 0.
/// Bytes moved: forward 2 * M * H numbers, backward (M + T) * H.
at::Tensor select_rows(const at::Tensor& x, const at::Tensor& rows);

/// y = x, but y[rows[i]] = values[i]; [T, H]. Backward: dx is dy with zeros in these rows, dvalues
/// dy's rows. Bytes moved: 2 * T * H numbers, backward (2 * T + M) * H.
at::Tensor place_rows(const at::Tensor& x, const at::Tensor& rows, const at::Tensor& values);

/// y = x, but y[rows[i]] = x[rows[i]] + values[i]; [T, H]. Backward: dx is dy, dvalues dy's rows.
/// Bytes moved: (2 * T + M) * H numbers, backward 2 * M * H.
at::Tensor add_rows(const at::Tensor& x, const at::Tensor& rows, const at::Tensor& values);

/// Whether these run as kernels of ours: on a GPU or on meta tensors, rows of a multiple of 16
/// bytes, bf16 or fp32. Else ATen's index_select, index_copy and index_add.
bool rows_are_fused(const at::Tensor& x);

}  // namespace lmms::kernels
