#pragma once
/// From the projections of a layer to what its heads saw: norm and rotation of queries and keys,
/// then attention within segments. One node of the graph, so that every activation is kept once.
#include <ATen/core/Tensor.h>

#include "kernels/attention/attention.h"
#include "kernels/form.h"
#include "kernels/qk_norm_rope/qk_norm_rope.h"

namespace lmms::kernels {

struct QkvAttention {
  QkNormRope norm_rope;  ///< without cos: queries and keys are taken as they are
  AttentionShape shape;
  /// Between forward and backward, keep the normalised and rotated queries and keys as well as the
  /// projections; else they are made again. Without a norm there is nothing to choose: the rotation
  /// is undone in place.
  bool keep_rotated = false;
  Form form = Form::fused;
};

/// Queries, keys and values, [T, N, D] each.
struct QkvHeads {
  at::Tensor q, k, v;
};

/// The heads of qkv [T, (heads + 2 kv_heads) D] as attention takes them: what of qkv_attention
/// comes before it, for generation, which keeps keys and values elsewhere.
QkvHeads attention_heads(const at::Tensor& qkv, const QkvAttention& how);

/// qkv [T, (heads + 2 kv_heads) D] -> [T, heads * D].
/// `qkv` is used up: the fused form turns it in place where it has no norm. Whoever reads it later
/// would read other numbers, so autograd refuses to.
at::Tensor qkv_attention(const at::Tensor& qkv, const AttentionPlan& plan, const QkvAttention& how);

}  // namespace lmms::kernels
