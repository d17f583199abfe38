#include "kernels/qk_norm_rope/qk_norm_rope.h"

#include <ATen/ops/empty.h>

#include <bit>
#include <limits>

#include "kernels/device.h"
#include "kernels/norm/norm.h"
#include "kernels/partial_sums/partial_sums.h"
#include "kernels/qk_norm_rope/qk_norm_rope_cuda.h"
#include "kernels/rope/rope.h"
#include "kernels/work.h"

namespace lmms::kernels {
namespace {

// The kernels take addresses, not strides: tables in another order would turn every head by another
// token's angle.
void check_tables(const at::Tensor& qkv, const QkNormRope& how) {
  for (const at::Tensor* table : {&how.cos, &how.sin}) {
    TORCH_INTERNAL_ASSERT(table->is_contiguous() &&
                              table->sizes() == at::IntArrayRef({qkv.size(0), how.head_dim / 2}),
                          "rotary tables: expected contiguous [", qkv.size(0), ", ",
                          how.head_dim / 2, "], found ", table->sizes(), " with strides ",
                          table->strides());
  }
}

QkNormRopeArgs args_of(const at::Tensor& qkv, const QkNormRope& how) {
  QkNormRopeArgs a;
  a.x = qkv.const_data_ptr();
  a.x_stride = qkv.stride(0);
  if (how.norms()) {
    a.q_weight = how.q_norm.value.const_data_ptr();
    a.k_weight = how.k_norm.value.const_data_ptr();
  }
  a.cos = how.cos.const_data_ptr<float>();
  a.sin = how.sin.const_data_ptr<float>();
  a.T = qkv.size(0);
  a.q_heads = how.heads;
  a.k_heads = how.kv_heads;
  a.D = how.head_dim;
  a.eps = static_cast<float>(how.eps);
  a.bf16 = qkv.scalar_type() == at::kBFloat16;
  return a;
}

}  // namespace

at::Tensor qk_norm_rope(const at::Tensor& x, const Weight& w, double eps, const at::Tensor& cos,
                        const at::Tensor& sin) {
  const at::Tensor normed = w.defined() ? norm(x, {w, {}, eps}) : x;
  return rope(normed.to(cos.scalar_type()), cos, sin).to(x.scalar_type());
}

bool qk_kernels_take(const at::Tensor& qkv, const QkNormRope& how) {
  if (!has_kernels(qkv) || !how.cos.defined() || how.cos.scalar_type() != at::kFloat) return false;
  const int64_t pair = 2 * 16 / static_cast<int64_t>(qkv.element_size());
  const int64_t threads = how.head_dim / pair;
  const bool norm_fits = threads <= 32 && std::has_single_bit(static_cast<uint64_t>(threads));
  return how.head_dim % pair == 0 && threads <= 256 && (!how.norms() || norm_fits) &&
         qkv.size(0) * (how.heads + how.kv_heads) < std::numeric_limits<int32_t>::max();
}

void qk_forward(const at::Tensor& qkv, const QkNormRope& how, const at::Tensor& out) {
  const int64_t width = (how.heads + how.kv_heads) * how.head_dim;
  const at::Tensor qk = qkv.narrow(1, 0, width);
  check_tables(qkv, how);
  record_pass({qk, qk}, 0.75);
  if (!qkv.is_cuda()) return;
  QkNormRopeArgs a = args_of(qkv, how);
  a.out = out.mutable_data_ptr();
  a.out_stride = out.stride(0);
  qk_norm_rope_cuda(a, current_stream());
  check_last_launch("norm and rotation of queries and keys");
}

QkWeightGradients qk_backward(const at::Tensor& qkv, const QkNormRope& how,
                              const at::Tensor& dqkv) {
  const QkNormPartials rows =
      how.norms() ? qk_norm_partials(how.heads, how.kv_heads) : QkNormPartials{};
  const at::Tensor partials =
      at::empty({rows.q + rows.k, how.head_dim}, qkv.options().dtype(at::kFloat));
  const at::Tensor qk = dqkv.narrow(1, 0, (how.heads + how.kv_heads) * how.head_dim);
  check_tables(qkv, how);
  record_pass({qk, qk, how.norms() ? qk : at::Tensor()}, 0.72);
  if (qkv.is_cuda()) {
    QkNormRopeArgs a = args_of(qkv, how);
    a.dy = dqkv.const_data_ptr();
    a.dy_stride = dqkv.stride(0);
    a.out = dqkv.mutable_data_ptr();
    a.out_stride = dqkv.stride(0);
    if (how.norms()) a.partials = partials.mutable_data_ptr<float>();
    qk_norm_rope_cuda(a, current_stream());
    check_last_launch("norm and rotation of queries and keys, backward");
  }
  QkWeightGradients out;
  if (!how.norms()) return out;
  const at::ScalarType dtype = how.q_norm.value.scalar_type();
  if (how.q_norm.value.requires_grad() || how.q_norm.slot.defined())
    out.q_norm = gradient_of_partials(partials.narrow(0, 0, rows.q), how.q_norm.slot, dtype);
  if (how.k_norm.value.requires_grad() || how.k_norm.slot.defined())
    out.k_norm = gradient_of_partials(partials.narrow(0, rows.q, rows.k), how.k_norm.slot, dtype);
  return out;
}

}  // namespace lmms::kernels
