#include "kernels/glu/glu.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <torch/csrc/autograd/custom_function.h>

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct SiluGlu : torch::autograd::Function<SiluGlu> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate_up) {
    ctx->save_for_backward({gate_up});
    const int64_t I = gate_up.size(-1) / 2;
    return at::silu(gate_up.narrow(-1, 0, I)).mul_(gate_up.narrow(-1, I, I));  // [T, I]
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const at::Tensor gate_up = ctx->get_saved_variables()[0];
    const int64_t I = gate_up.size(-1) / 2;
    const at::Tensor gate = gate_up.narrow(-1, 0, I), up = gate_up.narrow(-1, I, I);
    at::Tensor d = at::empty_like(gate_up);  // [T, 2 * I]
    d.narrow(-1, 0, I).copy_(at::silu_backward(grads[0] * up, gate));
    at::Tensor d_up = d.narrow(-1, I, I);
    at::mul_out(d_up, grads[0], at::silu(gate));
    return {d};
  }
};

}  // namespace

at::Tensor silu_glu(const at::Tensor& gate_up) {
  return SiluGlu::apply(gate_up);
}

}  // namespace lmms::kernels
