#include "nn/residual.h"

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

namespace lmms::nn {

void Residual::settle() {
  if (!delta.defined()) return;
  hidden = hidden + delta;
  delta = at::Tensor();
}

kernels::Normed Residual::settle_through(const Norm& norm, const UnitRun& how) {
  kernels::Normed normed = norm(hidden, delta, how);
  hidden = normed.sum;
  delta = at::Tensor();
  return normed;
}

void mlp_half(Residual& stream, const Norm& norm, const Mlp& mlp, const UnitRun& how) {
  if (how.keep != Keep::attention || !c10::GradMode::is_enabled()) {
    stream.delta = mlp(stream.settle_through(norm, how), how);
    return;
  }
  stream.settle();
  UnitRun whole = how;
  whole.keep = Keep::everything;  // what backward makes lives for one backward
  stream.delta = detail::run_recomputed(
      [&norm, &mlp, whole](const detail::Tensors& in) {
        return detail::Tensors{mlp(norm(in.front(), {}, whole), whole)};
      },
      {stream.hidden})[0];
}

}  // namespace lmms::nn
