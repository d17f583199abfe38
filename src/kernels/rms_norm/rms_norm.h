#pragma once
/// y = w * cast(x * rstd),  rstd = 1 / sqrt(mean_d x^2 + eps), statistics in fp32; the weight
/// multiplies after the cast to x's dtype, as transformers does. Source: Zhang & Sennrich 2019,
/// eq. 4.
namespace at {
class Tensor;
}

namespace lmms::kernels {

/// x [..., D] any float dtype; w [D] of the same dtype -> [..., D]. Keeps x and rstd (fp32) for
/// backward.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& w, double eps);

}  // namespace lmms::kernels
