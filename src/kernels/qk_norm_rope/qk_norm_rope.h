#pragma once
/// What a query or key goes through between its projection and attention.
#include <ATen/core/Tensor.h>

namespace lmms::kernels {

/// y = rope(rms_norm(x, w, eps), cos, sin), the norm over D of each head; without a norm if `w` is
/// undefined. x [T, N, D]; w [D]; cos, sin [T, D / 2].
at::Tensor qk_norm_rope(const at::Tensor& x, const at::Tensor& w, double eps, const at::Tensor& cos,
                        const at::Tensor& sin);

}  // namespace lmms::kernels
