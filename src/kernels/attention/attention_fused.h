#pragma once
/// The core of attention.h by a named backend: what tests and benchmarks compare.
#include <map>
#include <mutex>

#include "kernels/attention/attention.h"
#include "kernels/attention/attention_rule.h"

namespace lmms::kernels {

/// Where segments begin, in elements of an operand: prefix sums times the distance between its
/// tokens.
struct AttentionOffsets {
  std::mutex mutex;
  std::map<int64_t, at::Tensor> by_row;  ///< [capacity.segments + 1] int32
};

/// Which backend the core takes for these in one direction, by the rule.
AttentionBackend backend_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const AttentionPlan& plan, bool backward);

AttentionOutput attention_forward_by(AttentionBackend backend, const at::Tensor& q,
                                     const at::Tensor& k, const at::Tensor& v,
                                     const AttentionPlan& plan, const AttentionShape& shape);

void attention_backward_by(AttentionBackend backend, const at::Tensor& dout, const at::Tensor& q,
                           const at::Tensor& k, const at::Tensor& v, const AttentionOutput& output,
                           const AttentionPlan& plan, const AttentionShape& shape, at::Tensor& dq,
                           at::Tensor& dk, at::Tensor& dv);

/// Bytes that backward by cuDNN takes beside its results, as the parts of its graph add up: what a
/// meta tensor is charged.
int64_t cudnn_backward_workspace(bool dense, const at::Tensor& dq, const at::Tensor& dk,
                                 const at::Tensor& dv);

}  // namespace lmms::kernels
