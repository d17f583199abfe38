#include "kernels/linear/linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <optional>

#include "kernels/device.h"
#include "kernels/linear/column_sum_cuda.h"
#include "kernels/linear/linear_node.h"
#include "kernels/meta_device.h"
#include "kernels/partial_sums/partial_sums.h"
#include "kernels/work.h"

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

at::Tensor product(const at::Tensor& x, const LinearWeights& w) {
  return at::linear(x, w.weight.value,
                    w.bias.defined() ? std::optional(w.bias.value) : std::nullopt);
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& /*W*/,
                            const std::optional<at::Tensor>& /*b*/, const LinearWeights& weights,
                            const Recompute& x_recompute) {
    ctx->saved_data["wants_x"] = x.requires_grad();
    LinearNode::keep(ctx, weights, x_recompute ? x_recompute.kept : tensor_list{x});
    ctx->saved_data["recompute"] = reinterpret_cast<int64_t>(x_recompute.run);
    ctx->saved_data["number"] = x_recompute.number;
    return product(x, weights);
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const LinearNode node(ctx);
    const int64_t recompute = ctx->saved_data["recompute"].toInt();
    LinearGradients g = node.gradients(grads[0], ctx->saved_data["wants_x"].toBool(), [&] {
      if (recompute == 0) return node.kept.front();
      return reinterpret_cast<decltype(Recompute::run)>(recompute)(
          node.kept, ctx->saved_data["number"].toDouble());
    });
    return {g.dx, g.dweight, g.dbias, {}, {}};
  }
};

at::Tensor flat(const at::Tensor& t) {
  return t.dim() == 2 ? t : t.reshape({-1, t.size(-1)});
}

}  // namespace

void LinearNode::keep(AutogradContext* ctx, const LinearWeights& weights, tensor_list kept) {
  ctx->saved_data["weight_slot"] = weights.weight.slot;
  ctx->saved_data["bias_slot"] = weights.bias.slot;
  ctx->saved_data["wants_weight"] = weights.weight.value.requires_grad();
  ctx->saved_data["wants_bias"] = weights.bias.defined() && weights.bias.value.requires_grad();
  kept.push_back(weights.weight.value);
  ctx->save_for_backward(std::move(kept));
}

LinearNode::LinearNode(AutogradContext* ctx) : kept(ctx->get_saved_variables()) {
  weight = std::move(kept.back());
  kept.pop_back();
  weight_slot = ctx->saved_data["weight_slot"].toTensor();
  bias_slot = ctx->saved_data["bias_slot"].toTensor();
  wants_weight = ctx->saved_data["wants_weight"].toBool();
  wants_bias = ctx->saved_data["wants_bias"].toBool();
}

LinearGradients LinearNode::gradients(const at::Tensor& grad, bool wants_x,
                                      const std::function<at::Tensor()>& x) const {
  LinearGradients out;
  const at::Tensor dy = flat(grad).contiguous();
  if (wants_weight) out.dweight = weight_gradient(dy, flat(x()), weight_slot);
  if (wants_bias) out.dbias = bias_gradient(dy, bias_slot);
  if (wants_x) {
    std::vector<int64_t> shape = grad.sizes().vec();
    shape.back() = weight.size(1);
    out.dx = at::mm(dy, weight).view(shape);
  }
  return out;
}

at::Tensor linear(const at::Tensor& x, const LinearWeights& weights, const Recompute& x_recompute) {
  const at::Tensor &W = weights.weight.value, &b = weights.bias.value;
  const bool wants = x.requires_grad() || W.requires_grad() || (b.defined() && b.requires_grad());
  if (!at::GradMode::is_enabled() || !wants) return product(x, weights);
  return Linear::apply(x, W, if_defined(b), weights, x_recompute);
}

at::Tensor weight_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& slot) {
  if (!slot.defined()) return at::mm(dy.t(), x);
  at::Tensor into = slot;
  if (slot.scalar_type() == x.scalar_type()) {
    into.addmm_(dy.t(), x);
  } else if (computes_as_cpu(x.device()) || slot.scalar_type() != at::kFloat) {
    into.add_(at::mm(dy.t(), x));  // a GPU's products widen their results alone
  } else if (x.is_meta()) {
    record_product({dy.size(1), x.size(1), x.size(0)});
  } else {  // the product is summed in fp32 anyway
    at::addmm_out(into, into, dy.t(), x, slot.scalar_type());
  }
  return {};
}

at::Tensor bias_gradient(const at::Tensor& dy, const at::Tensor& slot) {
  const int64_t T = dy.size(0), N = dy.size(1);
  if (!has_kernels(dy) || dy.scalar_type() != at::kBFloat16 || N % 8 != 0) {
    if (!slot.defined()) return dy.sum(0);
    at::Tensor into = slot;
    into.add_(dy.sum(0, /*keepdim=*/false, at::kFloat));
    return {};
  }
  const at::Tensor partials = at::empty({column_sum_rows(T, N), N}, dy.options().dtype(at::kFloat));
  record_pass({dy, partials}, 0.84);
  if (dy.is_cuda()) {
    column_sum_cuda(dy.const_data_ptr(), T, N, partials.mutable_data_ptr<float>(),
                    current_stream());
    check_last_launch("bias gradient");
  }
  return gradient_of_partials(partials, slot, dy.scalar_type());
}

}  // namespace lmms::kernels
