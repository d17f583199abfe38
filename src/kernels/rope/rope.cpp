#include "kernels/rope/rope.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/custom_function.h>

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// x [T, H, D], c and s [T, 1, D / 2]; direction +1 rotates, -1 rotates back.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& c, const at::Tensor& s, int direction) {
  const int64_t half = x.size(-1) / 2;
  const at::Tensor x1 = x.narrow(-1, 0, half), x2 = x.narrow(-1, half, half);
  at::Tensor y = at::empty_like(x, x.options(), at::MemoryFormat::Contiguous);
  at::Tensor y1 = y.narrow(-1, 0, half), y2 = y.narrow(-1, half, half);
  at::mul_out(y1, x1, c);
  at::mul_out(y2, x2, c);
  y1.sub_(x2 * s, direction);
  y2.add_(x1 * s, direction);
  return y;
}

struct Rope : torch::autograd::Function<Rope> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& cos,
                            const at::Tensor& sin) {
    ctx->save_for_backward({cos, sin});
    return rotate(x, cos.unsqueeze(1), sin.unsqueeze(1), 1);
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    return {rotate(grads[0], saved[0].unsqueeze(1), saved[1].unsqueeze(1), -1), at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  return Rope::apply(x, cos, sin);
}

}  // namespace lmms::kernels
