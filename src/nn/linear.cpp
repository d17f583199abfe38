#include "nn/linear.h"

#include <ATen/ops/embedding.h>

namespace lmms::nn {
namespace {

kernels::Weight handle(const Param* p) {
  return p != nullptr ? p->handle() : kernels::Weight{};
}

kernels::LinearWeights weights_of(const Linear& linear) {
  return {handle(linear.weight), handle(linear.bias)};
}

}  // namespace

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return kernels::linear(x, weights_of(*this));
}

at::Tensor Linear::operator()(const kernels::Normed& x, const UnitRun& how) const {
  return kernels::linear(x.y, weights_of(*this),
                         how.keep == Keep::everything ? kernels::Recompute{} : x.recompute);
}

at::Tensor Linear::after(kernels::Activation kind, const at::Tensor& u, const UnitRun& how) const {
  return kernels::activation_linear(u, kind, weights_of(*this), how.kernels.activation);
}

at::Tensor Embedding::operator()(const at::Tensor& ids, const kernels::EmbeddingPlan& plan) const {
  if (!plan.order.defined()) return at::embedding(weight->value(), ids);
  const kernels::Weight table = weight->handle();
  return kernels::embedding(table.value, ids, plan, table.slot);
}

kernels::Normed Norm::operator()(const at::Tensor& hidden, const at::Tensor& delta,
                                 const UnitRun& how) const {
  const kernels::NormWeights weights{handle(weight), handle(bias), eps, how.kernels.norm};
  return delta.defined() ? kernels::add_norm(delta, hidden, weights)
                         : kernels::add_norm(hidden, {}, weights);
}

}  // namespace lmms::nn
