#include "kernels/qkv_attention/qkv_attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// Views of rows [q, k, ...] and of the values in `values`, rows [q, k, v].
QkvHeads heads_of(const at::Tensor& qk, const at::Tensor& values, const QkNormRope& how) {
  const int64_t T = qk.size(0), D = how.head_dim;
  const auto cut = [&](const at::Tensor& rows, int64_t first, int64_t count) {
    return rows.narrow(1, first * D, count * D).view({T, count, D});
  };
  return {cut(qk, 0, how.heads), cut(qk, how.heads, how.kv_heads),
          cut(values, how.heads + how.kv_heads, how.kv_heads)};
}

bool norm_rope_is_fused(const at::Tensor& qkv, const QkvAttention& how) {
  const QkNormRope& t = how.norm_rope;
  return how.form == Form::fused && qkv.is_contiguous() &&
         (t.cos.defined() ? qk_kernels_take(qkv, t) : !t.norms());
}

bool fuses(const at::Tensor& qkv, const AttentionPlan& plan, const QkvAttention& how) {
  return norm_rope_is_fused(qkv, how) &&
         attention_is_fused(plan, qkv.device(), qkv.scalar_type(), how.norm_rope.head_dim);
}

// The queries and keys that attention reads: in a tensor of their own, or in qkv itself.
at::Tensor norm_rope_fused(const at::Tensor& qkv, const QkNormRope& how) {
  if (!how.norms()) return qkv;
  // As wide as qkv, though the values' place stays empty: attention_backward wants the rows of
  // queries and keys as far apart as those of their gradients.
  const at::Tensor out = at::empty_like(qkv);
  qk_forward(qkv, how, out);
  return out;
}

// What of a call is no tensor that autograd should see.
struct Settings : torch::CustomClassHolder {
  Settings(AttentionPlan p, QkvAttention h) : plan(std::move(p)), how(std::move(h)) {}
  AttentionPlan plan;
  QkvAttention how;
};

struct Fused : torch::autograd::Function<Fused> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv,
                            const std::optional<at::Tensor>& /*q_norm*/,
                            const std::optional<at::Tensor>& /*k_norm*/, const AttentionPlan& plan,
                            const QkvAttention& how) {
    const QkNormRope& t = how.norm_rope;
    if (t.cos.defined() && !t.norms()) {
      qk_forward(qkv, t, qkv);
      qkv.unsafeGetTensorImpl()->bump_version();
    }
    const at::Tensor qk = norm_rope_fused(qkv, t);
    const QkvHeads h = heads_of(qk, qkv, t);
    const AttentionOutput seen = attention_forward(h.q, h.k, h.v, plan, how.shape);
    const at::Tensor out = seen.out.view({qkv.size(0), t.heads * t.head_dim});
    ctx->save_for_backward({qkv, how.keep_rotated && t.norms() ? qk : at::Tensor(), out, seen.lse});
    ctx->saved_data["settings"] =
        c10::IValue::make_capsule(c10::make_intrusive<Settings>(plan, how));
    return out;
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto settings =
        c10::static_intrusive_pointer_cast<Settings>(ctx->saved_data["settings"].toCapsule());
    const QkvAttention& how = settings->how;
    const QkNormRope& t = how.norm_rope;
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &qkv = saved[0], &out = saved[2];
    const at::Tensor dqkv = at::empty_like(qkv);
    {
      const QkvHeads h = heads_of(saved[1].defined() ? saved[1] : norm_rope_fused(qkv, t), qkv, t);
      QkvHeads d = heads_of(dqkv, dqkv, t);
      const auto by_head = [&](const at::Tensor& rows) {
        return rows.view({qkv.size(0), t.heads, t.head_dim});
      };
      attention_backward(by_head(grads[0].contiguous()), h.q, h.k, h.v, {by_head(out), saved[3]},
                         settings->plan, how.shape, d.q, d.k, d.v);
    }
    QkWeightGradients w;
    if (t.cos.defined()) w = qk_backward(qkv, t, dqkv);
    return {dqkv, w.q_norm, w.k_norm, {}, {}};
  }
};

QkvHeads attention_heads_plain(const at::Tensor& qkv, const QkNormRope& t) {
  QkvHeads h = heads_of(qkv, qkv, t);
  if (t.cos.defined()) {
    h.q = qk_norm_rope(h.q, t.q_norm, t.eps, t.cos, t.sin);
    h.k = qk_norm_rope(h.k, t.k_norm, t.eps, t.cos, t.sin);
  }
  return h;
}

at::Tensor plain(const at::Tensor& qkv, const AttentionPlan& plan, const QkvAttention& how) {
  const QkvHeads h = attention_heads_plain(qkv, how.norm_rope);
  const at::Tensor seen = attention(h.q, h.k, h.v, plan, how.shape);
  return seen.reshape({qkv.size(0), how.norm_rope.heads * how.norm_rope.head_dim});
}

}  // namespace

QkvHeads attention_heads(const at::Tensor& qkv, const QkvAttention& how) {
  const QkNormRope& t = how.norm_rope;
  if (!norm_rope_is_fused(qkv, how) || at::GradMode::is_enabled())
    return attention_heads_plain(qkv, t);
  if (t.cos.defined() && !t.norms()) qk_forward(qkv, t, qkv);
  return heads_of(norm_rope_fused(qkv, t), qkv, t);
}

at::Tensor qkv_attention(const at::Tensor& qkv, const AttentionPlan& plan,
                         const QkvAttention& how) {
  if (!fuses(qkv, plan, how)) return plain(qkv, plan, how);
  return Fused::apply(qkv, if_defined(how.norm_rope.q_norm.value),
                      if_defined(how.norm_rope.k_norm.value), plan, how);
}

}  // namespace lmms::kernels
