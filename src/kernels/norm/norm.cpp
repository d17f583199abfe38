#include "kernels/norm/norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/device.h"
#include "kernels/norm/norm_cuda.h"
#include "kernels/partial_sums/partial_sums.h"
#include "kernels/work.h"

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// What forward leaves for backward. Shapes [..., D], statistics [T] (fused) or [..., 1].
struct Forward {
  at::Tensor y, sum, rstd, mean;
};

struct Gradients {
  at::Tensor dx, dweight, dbias;
};

bool fuses(const at::Tensor& x, Form form) {
  const int64_t bytes = x.size(-1) * static_cast<int64_t>(x.element_size());
  return form == Form::fused && has_kernels(x) && bytes % 16 == 0 && bytes <= kMostNormBytes;
}

NormDtype dtype_of(const at::Tensor& x) {
  return x.scalar_type() == at::kBFloat16 ? NormDtype::bf16 : NormDtype::f32;
}

const void* data(const at::Tensor& t) {
  return t.defined() ? t.const_data_ptr() : nullptr;
}

Forward forward_fused(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                      const at::Tensor& bias, double eps) {
  const at::Tensor in = x.contiguous(),
                   more = residual.defined() ? residual.contiguous() : residual;
  const int64_t D = x.size(-1), T = x.numel() / D;
  Forward out;
  out.y = at::empty_like(in);
  out.sum = more.defined() ? at::empty_like(in) : in;
  out.rstd = at::empty({T}, in.options().dtype(at::kFloat));
  if (bias.defined()) out.mean = at::empty({T}, out.rstd.options());
  record_pass({in, more, more.defined() ? out.sum : more, out.y}, 0.9);
  if (!x.is_cuda()) return out;
  NormForward a;
  a.x = data(in);
  a.residual = data(more);
  a.weight = data(weight);
  a.bias = data(bias);
  a.sum = more.defined() ? out.sum.mutable_data_ptr() : nullptr;
  a.y = out.y.mutable_data_ptr();
  a.rstd = out.rstd.mutable_data_ptr<float>();
  a.mean = bias.defined() ? out.mean.mutable_data_ptr<float>() : nullptr;
  a.T = T;
  a.D = D;
  a.eps = static_cast<float>(eps);
  a.dtype = dtype_of(x);
  norm_forward_cuda(a, current_stream());
  check_last_launch("norm");
  return out;
}

// The weight multiplies after the cast to x's dtype, as transformers does for RMSNorm.
Forward forward_plain(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                      const at::Tensor& bias, double eps) {
  Forward out;
  out.sum = residual.defined() ? residual + x : x;
  at::Tensor n = out.sum.to(at::kFloat);
  if (bias.defined()) {
    out.mean = n.mean(-1, /*keepdim=*/true);
    n = n - out.mean;
  }
  out.rstd = (n * n).mean(-1, /*keepdim=*/true).add_(eps).rsqrt_();
  if (bias.defined()) {
    out.y = (n * out.rstd * weight + bias).to(x.scalar_type());
  } else {
    out.y = (n * out.rstd).to(x.scalar_type()) * weight;
  }
  return out;
}

Forward forward(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight,
                const at::Tensor& bias, double eps, Form form) {
  return fuses(x, form) ? forward_fused(x, residual, weight, bias, eps)
                        : forward_plain(x, residual, weight, bias, eps);
}

Gradients backward_fused(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& x,
                         const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& rstd,
                         const at::Tensor& mean, const at::Tensor& weight_slot,
                         const at::Tensor& bias_slot, bool wants_weights) {
  const int64_t D = x.size(-1), T = x.numel() / D,
                rows = norm_partials(D, dtype_of(x), mean.defined());
  const at::Tensor d = dy.contiguous(), more = dsum.defined() ? dsum.contiguous() : dsum;
  const at::Tensor partials = at::empty({(mean.defined() ? 2 : 1) * rows, D}, rstd.options());
  Gradients out;
  out.dx = at::empty_like(x);
  record_pass({d, more, x, out.dx}, mean.defined() ? 0.45 : 0.7);
  if (x.is_cuda()) {
    NormBackward a;
    a.dy = data(d);
    a.x = data(x);
    a.weight = data(weight);
    a.dsum = data(more);
    a.rstd = rstd.const_data_ptr<float>();
    a.mean = mean.defined() ? mean.const_data_ptr<float>() : nullptr;
    a.dx = out.dx.mutable_data_ptr();
    a.partials = partials.mutable_data_ptr<float>();
    a.T = T;
    a.D = D;
    a.dtype = dtype_of(x);
    norm_backward_cuda(a, current_stream());
    check_last_launch("norm backward");
  }
  if (wants_weights) {
    out.dweight =
        gradient_of_partials(partials.narrow(0, 0, rows), weight_slot, weight.scalar_type());
    if (bias.defined())
      out.dbias =
          gradient_of_partials(partials.narrow(0, rows, rows), bias_slot, bias.scalar_type());
  }
  return out;
}

at::Tensor sum_of_rows(const at::Tensor& terms, const at::Tensor& weight, const at::Tensor& slot) {
  const at::Tensor sum = terms.reshape({-1, weight.numel()}).sum(0);
  if (!slot.defined()) return sum.to(weight.scalar_type());
  at::Tensor into = slot;
  into.add_(sum);
  return {};
}

// See norm.cu for the formulas.
Gradients backward_plain(const at::Tensor& dy, const at::Tensor& dsum, const at::Tensor& x,
                         const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& rstd,
                         const at::Tensor& mean, const at::Tensor& weight_slot,
                         const at::Tensor& bias_slot, bool wants_weights) {
  const at::Tensor xf = x.to(at::kFloat);
  const at::Tensor n = (mean.defined() ? xf - mean : xf) * rstd;
  Gradients out;
  if (wants_weights) {
    const at::Tensor rounded = bias.defined() ? n : n.to(x.scalar_type());
    out.dweight = sum_of_rows(dy.to(at::kFloat) * rounded, weight, weight_slot);
    if (bias.defined()) out.dbias = sum_of_rows(dy.to(at::kFloat), bias, bias_slot);
  }
  at::Tensor g = (dy * weight).to(at::kFloat);
  const at::Tensor dot = (g * n).mean(-1, /*keepdim=*/true);
  if (mean.defined()) g = g - g.mean(-1, /*keepdim=*/true);
  out.dx = g.sub(n * dot).mul_(rstd).to(x.scalar_type());
  if (dsum.defined()) out.dx.add_(dsum);
  return out;
}

struct Norm : torch::autograd::Function<Norm> {
  static tensor_list forward(AutogradContext* ctx, const at::Tensor& x,
                             const std::optional<at::Tensor>& added, const at::Tensor& weight,
                             const std::optional<at::Tensor>& /*bias*/, const NormWeights& given) {
    const at::Tensor residual = added.value_or(at::Tensor()), bias = given.bias.value;
    const Forward out = kernels::forward(x, residual, weight, bias, given.eps, given.form);
    ctx->save_for_backward({out.sum, weight, bias, out.rstd, out.mean});
    ctx->saved_data["fused"] = fuses(x, given.form);
    ctx->saved_data["weight_slot"] = given.weight.slot;
    ctx->saved_data["bias_slot"] = given.bias.slot;
    ctx->saved_data["wants_weights"] =
        weight.requires_grad() || (bias.defined() && bias.requires_grad());
    ctx->saved_data["adds"] = residual.defined();
    return {out.y, residual.defined() ? out.sum : x};
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &sum = saved[0], &weight = saved[1], &bias = saved[2];
    const auto slot = [&](const char* name) { return ctx->saved_data[name].toTensor(); };
    const bool adds = ctx->saved_data["adds"].toBool();
    Gradients g;
    if (grads[0].defined()) {
      g = (ctx->saved_data["fused"].toBool() ? backward_fused : backward_plain)(
          grads[0], grads[1], sum, weight, bias, saved[3], saved[4], slot("weight_slot"),
          slot("bias_slot"), ctx->saved_data["wants_weights"].toBool());
    } else {
      g.dx = grads[1];
    }
    return {g.dx, adds ? g.dx : at::Tensor(), g.dweight, g.dbias, {}};
  }
};

template <Form form>
at::Tensor recompute_y(const std::vector<at::Tensor>& kept, double eps) {
  const c10::NoGradGuard no_grad;
  return forward(kept[0], {}, kept[1], kept.size() > 2 ? kept[2] : at::Tensor(), eps, form).y;
}

}  // namespace

Normed add_norm(const at::Tensor& x, const at::Tensor& residual, const NormWeights& w) {
  const tensor_list out =
      Norm::apply(x, if_defined(residual), w.weight.value, if_defined(w.bias.value), w);
  Recompute recompute;
  recompute.kept = {out[1].detach(), w.weight.value.detach()};
  if (w.bias.defined()) recompute.kept.push_back(w.bias.value.detach());
  recompute.number = w.eps;
  recompute.run = w.form == Form::fused ? &recompute_y<Form::fused> : &recompute_y<Form::plain>;
  return {out[0], out[1], std::move(recompute)};
}

at::Tensor norm(const at::Tensor& x, const NormWeights& weights) {
  return add_norm(x, {}, weights).y;
}

}  // namespace lmms::kernels
