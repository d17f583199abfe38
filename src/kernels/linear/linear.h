#pragma once
/// y = x W^T + b, whose backward adds the gradients of weight and bias where they belong.
#include <ATen/core/Tensor.h>

#include "kernels/form.h"
#include "kernels/recompute.h"

namespace lmms::kernels {

struct LinearWeights {
  Weight weight;  ///< [N, K]
  Weight bias;    ///< [N]; may be undefined
};

/// x [..., K] -> [..., N]. Keeps x for backward, or what `x_recompute` keeps. dW = dy^T x goes into
/// its slot by the product itself, whatever the slot's dtype: no tensor of the weight's size is
/// made.
at::Tensor linear(const at::Tensor& x, const LinearWeights& weights,
                  const Recompute& x_recompute = {});

/// slot += dy^T x, for dy [T, N] and x [T, K]. If `slot` is undefined: the product, in x's dtype.
at::Tensor weight_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& slot);

/// slot += sum_t dy[t, :]; if `slot` is undefined: the sum, in the dtype of dy. The same bits in
/// every run. dy [T, N].
at::Tensor bias_gradient(const at::Tensor& dy, const at::Tensor& slot);

}  // namespace lmms::kernels
