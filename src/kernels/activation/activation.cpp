#include "kernels/activation/activation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/activation/activation_cuda.h"
#include "kernels/device.h"
#include "kernels/linear/linear_node.h"
#include "kernels/work.h"

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// What a kind means for one tensor: which kernel, which approximation of ATen's gelu, how wide h
// is.
struct Kind {
  Activation of;
  Form form;

  bool gated() const { return of == Activation::silu_glu; }
  const char* gelu() const { return of == Activation::gelu_tanh ? "tanh" : "none"; }
  int64_t width(const at::Tensor& u) const { return gated() ? u.size(-1) / 2 : u.size(-1); }
  bool fuses(const at::Tensor& u) const {
    const int64_t bytes = width(u) * static_cast<int64_t>(u.element_size());
    return form == Form::fused && has_kernels(u) && u.is_contiguous() && bytes % 16 == 0;
  }
  int64_t packed() const { return 2 * static_cast<int64_t>(of) + (form == Form::fused ? 1 : 0); }
  static Kind unpacked(int64_t k) {
    return {static_cast<Activation>(k / 2), k % 2 != 0 ? Form::fused : Form::plain};
  }
};

at::Tensor like_h(const at::Tensor& u, const Kind& kind) {
  std::vector<int64_t> shape = u.sizes().vec();
  shape.back() = kind.width(u);
  return at::empty(shape, u.options());
}

ActivationArgs args_of(const at::Tensor& u, const Kind& kind) {
  ActivationArgs a;
  a.u = u.const_data_ptr();
  a.I = kind.width(u);
  a.T = a.I == 0 ? 0 : u.numel() / u.size(-1);
  a.kind = static_cast<ActivationKind>(kind.of);
  a.bf16 = u.scalar_type() == at::kBFloat16;
  return a;
}

at::Tensor forward(const at::Tensor& u, const Kind& kind) {
  if (!kind.fuses(u)) {
    if (!kind.gated()) return at::gelu(u, kind.gelu());
    const int64_t I = kind.width(u);
    return at::silu(u.narrow(-1, 0, I)).mul_(u.narrow(-1, I, I));
  }
  at::Tensor h = like_h(u, kind);
  record_pass({u, h}, 0.92);
  if (u.is_cuda()) {
    ActivationArgs a = args_of(u, kind);
    a.h = h.mutable_data_ptr();
    activation_cuda(a, current_stream());
    check_last_launch("activation");
  }
  return h;
}

struct Backward {
  at::Tensor du, h;  // h where it is wanted
};

Backward backward(const at::Tensor& u, const at::Tensor& dh, const Kind& kind, bool wants_h) {
  Backward out;
  if (kind.fuses(u)) {
    const at::Tensor d = dh.contiguous();
    out.du = at::empty_like(u);
    if (wants_h) out.h = like_h(u, kind);
    record_pass({u, d, out.du, out.h}, 0.92);
    if (u.is_cuda()) {
      ActivationArgs a = args_of(u, kind);
      a.dh = d.const_data_ptr();
      a.du = out.du.mutable_data_ptr();
      a.h = wants_h ? out.h.mutable_data_ptr() : nullptr;
      activation_cuda(a, current_stream());
      check_last_launch("activation backward");
    }
    return out;
  }
  if (!kind.gated()) {
    out.du = at::gelu_backward(dh, u, kind.gelu());
  } else {
    const int64_t I = kind.width(u);
    const at::Tensor gate = u.narrow(-1, 0, I), up = u.narrow(-1, I, I);
    out.du = at::empty_like(u);
    out.du.narrow(-1, 0, I).copy_(at::silu_backward(dh * up, gate));
    at::Tensor d_up = out.du.narrow(-1, I, I);
    at::mul_out(d_up, dh, at::silu(gate));
  }
  if (wants_h) out.h = forward(u, kind);
  return out;
}

struct Alone : torch::autograd::Function<Alone> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& u, int64_t kind) {
    ctx->save_for_backward({u});
    ctx->saved_data["kind"] = kind;
    return kernels::forward(u, Kind::unpacked(kind));
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const Kind kind = Kind::unpacked(ctx->saved_data["kind"].toInt());
    return {kernels::backward(ctx->get_saved_variables()[0], grads[0], kind, false).du, {}};
  }
};

struct BeforeProduct : torch::autograd::Function<BeforeProduct> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& u, const at::Tensor& /*W*/,
                            const std::optional<at::Tensor>& /*b*/, const LinearWeights& weights,
                            int64_t kind) {
    ctx->saved_data["wants_u"] = u.requires_grad();
    LinearNode::keep(ctx, weights, {u});
    ctx->saved_data["kind"] = kind;
    return linear(kernels::forward(u, Kind::unpacked(kind)), weights);
  }
  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const Kind kind = Kind::unpacked(ctx->saved_data["kind"].toInt());
    const LinearNode node(ctx);
    const at::Tensor& u = node.kept.front();
    at::Tensor du, h;
    if (ctx->saved_data["wants_u"].toBool()) {
      const at::Tensor dy = grads[0].reshape({-1, grads[0].size(-1)});
      std::vector<int64_t> shape = u.sizes().vec();
      shape.back() = kind.width(u);
      const at::Tensor dh = at::mm(dy, node.weight).view(shape);
      Backward out = kernels::backward(u, dh, kind, node.wants_weight);
      du = std::move(out.du);
      h = std::move(out.h);
    }
    const LinearGradients g = node.gradients(
        grads[0], /*wants_x=*/false, [&] { return h.defined() ? h : kernels::forward(u, kind); });
    return {du, g.dweight, g.dbias, {}, {}};
  }
};

}  // namespace

at::Tensor activation(const at::Tensor& u, Activation kind, Form form) {
  return Alone::apply(u, Kind{kind, form}.packed());
}

at::Tensor activation_linear(const at::Tensor& u, Activation kind, const LinearWeights& weights,
                             Form form) {
  return BeforeProduct::apply(u, weights.weight.value, if_defined(weights.bias.value), weights,
                              Kind{kind, form}.packed());
}

}  // namespace lmms::kernels
