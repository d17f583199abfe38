#pragma once
/// Cross entropy of a linear head without the [T, V] matrix of logits.
#include <ATen/core/Tensor.h>

namespace lmms::kernels {

struct LinearLossOptions {
  /// Bytes that one chunk's fp32 logits may take; the chunk has at least one row.
  int64_t chunk_bytes = int64_t{256} << 20;
  /// If defined ([V, H]), dW is added here during the forward and autograd sees no gradient of W:
  /// the result must then reach backward unscaled (weights carry every factor).
  at::Tensor weight_gradient;
};

/// sum_n weights[n] * -log softmax(h[n] W^T)[targets[n]], fp32 scalar.
/// h [N, H] and W [V, H] of one dtype; targets [N] int64 in [0, V); weights [N] fp32. N may be 0.
/// Under grad mode the gradients are made in the forward, chunk by chunk (as Liger's fused linear
/// cross entropy does: Hsu et al. 2024), with softmax and sums in fp32; without it none are made.
at::Tensor linear_loss(const at::Tensor& h, const at::Tensor& W, const at::Tensor& targets,
                       const at::Tensor& weights, const LinearLossOptions& options = {});

}  // namespace lmms::kernels
