#pragma once
/// Attention of every plan, number type and device through ATen's scaled_dot_product_attention.
#include "kernels/attention/attention.h"

namespace lmms::kernels {

/// As attention(), never by the fused core. Autograd goes through ATen's operators.
at::Tensor attention_by_segment(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                const AttentionPlan& plan, const AttentionShape& shape);

}  // namespace lmms::kernels
