#pragma once
/// The residual stream meets the next norm: r' = r + x, y = rms_norm(r'). One op, so that a fused
/// kernel can keep r' in registers.
#include <ATen/core/Tensor.h>

#include <utility>

namespace lmms::kernels {

/// x, residual [T, H]; w [H] -> (y [T, H], r' [T, H]).
std::pair<at::Tensor, at::Tensor> add_norm(const at::Tensor& x, const at::Tensor& residual,
                                           const at::Tensor& w, double eps);

}  // namespace lmms::kernels
