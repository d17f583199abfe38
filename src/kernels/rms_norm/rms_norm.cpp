#include "kernels/rms_norm/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w,
                            double eps) {
    const at::Tensor xf = x.to(at::kFloat);                                           // [..., D]
    const at::Tensor rstd = (xf * xf).mean(-1, /*keepdim=*/true).add_(eps).rsqrt_();  // [..., 1]
    ctx->save_for_backward({x, w, rstd});
    return (xf * rstd).to(x.scalar_type()) * w;
  }

  // With n = x * rstd and g = dy * w:  dw = sum_rows dy * n,  dx = rstd * (g - n * mean_d(g * n)).
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1], &rstd = saved[2], &dy = grads[0];
    const at::Tensor n = x.to(at::kFloat) * rstd;  // [..., D]
    at::Tensor dx, dw;
    if (ctx->needs_input_grad(1)) {
      const int64_t D = x.size(-1);
      dw = (dy.to(at::kFloat) * n.to(x.scalar_type())).reshape({-1, D}).sum(0).to(w.scalar_type());
    }
    if (ctx->needs_input_grad(0)) {
      at::Tensor g = (dy * w).to(at::kFloat);
      const at::Tensor dot = (g * n).mean(-1, /*keepdim=*/true);
      dx = g.sub_(n * dot).mul_(rstd).to(x.scalar_type());
    }
    return {dx, dw, at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& w, double eps) {
  return RmsNorm::apply(x, w, eps);
}

}  // namespace lmms::kernels
