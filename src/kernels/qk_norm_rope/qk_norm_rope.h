#pragma once
/// What queries and keys go through between their projection and attention: a norm of each head
/// (Qwen3; Dehghani et al. 2023, section 2.1) and the rotation of Su et al. 2021, eq. 34, in the
/// half-split layout.
#include <ATen/core/Tensor.h>

#include "kernels/form.h"
#include "kernels/recompute.h"

namespace lmms::kernels {

/// y = rope(rms_norm(x, w, eps), cos, sin), the norm over D of each head; without a norm if `w` is
/// undefined. x [T, N, D]; w [D]; cos, sin [T, D / 2] of x's dtype or wider: the rotation is
/// computed in theirs.
at::Tensor qk_norm_rope(const at::Tensor& x, const Weight& w, double eps, const at::Tensor& cos,
                        const at::Tensor& sin);

/// What becomes of the queries and keys in a row of projections [q, k, v].
struct QkNormRope {
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  Weight q_norm, k_norm;  ///< [D]; both undefined: no norm
  double eps = 1e-6;
  at::Tensor cos, sin;  ///< [T, D / 2] fp32

  bool norms() const { return q_norm.defined(); }
  int64_t qk_width() const { return (heads + kv_heads) * head_dim; }
};

/// Whether the kernels take these projections.
bool qk_kernels_take(const at::Tensor& qkv, const QkNormRope& how);
/// out [T, >= qk_width] = the normed and rotated queries and keys of qkv [T, (heads + 2 kv_heads)
/// D]; `out` may be qkv where nothing is normalised. No autograd.
void qk_forward(const at::Tensor& qkv, const QkNormRope& how, const at::Tensor& out);
/// In dqkv [T, (heads + 2 kv_heads) D], from the gradients of normed and rotated queries and keys
/// to those of the projections, in place. Adds the gradients of norm weights to their slots, or
/// returns them.
struct QkWeightGradients {
  at::Tensor q_norm, k_norm;
};
QkWeightGradients qk_backward(const at::Tensor& qkv, const QkNormRope& how, const at::Tensor& dqkv);

}  // namespace lmms::kernels
