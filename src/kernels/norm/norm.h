#pragma once
/// RMSNorm and LayerNorm over the last dimension, with the addition before them:
///   RMSNorm    y = w * x * rstd,               rstd = 1 / sqrt(mean_d x^2 + eps)
///   LayerNorm  y = w * (x - mean) * rstd + b,  rstd = 1 / sqrt(mean_d (x - mean)^2 + eps)
/// Statistics in fp32. Sources: Zhang & Sennrich 2019, eq. 4; Ba et al. 2016, eq. 4.
#include <ATen/core/Tensor.h>

#include <utility>

#include "kernels/form.h"
#include "kernels/recompute.h"

namespace lmms::kernels {

/// Weights of a norm, [D] in the dtype of its input.
struct NormWeights {
  Weight weight;
  Weight bias;  ///< undefined: RMSNorm
  double eps = 1e-6;
  Form form = Form::fused;
};

/// A normalised tensor and the way to make it again in backward, so that who needs it there keeps
/// nothing.
struct Normed {
  at::Tensor y;
  at::Tensor sum;       ///< what was normalised; its gradient joins in the kernel of the backward
  Recompute recompute;  ///< of y
};

/// norm(x + residual); `sum` is x + residual. x, residual [..., D] of one dtype. Undefined
/// `residual`: norm(x), and `sum` is x, carried on. Keeps sum and the statistics [...] for
/// backward. The gradient of x and of residual is one tensor; those of the weights have the same
/// bits in every run.
Normed add_norm(const at::Tensor& x, const at::Tensor& residual, const NormWeights& weights);

/// norm(x) alone.
at::Tensor norm(const at::Tensor& x, const NormWeights& weights);

}  // namespace lmms::kernels
