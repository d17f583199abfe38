#pragma once
/// Gradients of vectors (weights of norms, biases) are sums over all rows of a matrix. In backward
/// a block sums its share of the rows and writes one partial row (partial_row.cuh); here those are
/// added up in their order, so that a sum has the same bits in every run.
#include <ATen/core/Tensor.h>

namespace lmms::kernels {

/// The gradient [D] of a weight of `dtype` from its partial rows [R, D] fp32: added to `slot` (then
/// undefined is returned), or new. On meta tensors it allocates and launches nothing.
at::Tensor gradient_of_partials(const at::Tensor& partials, const at::Tensor& slot,
                                at::ScalarType dtype);

}  // namespace lmms::kernels
