#pragma once
/// Attention over packed sequences: every segment attends within itself, never a dense [T, T] mask.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lmms::kernels {

/// Which tokens see which, built on the host from the segments of a batch.
struct AttentionPlan {
  std::vector<int64_t> lengths;  ///< [S] tokens of each segment, in order; together T
  at::Tensor cu_seqlens;         ///< [S + 1] int32 on the device: prefix sums of lengths
  int64_t max_length = 0;
};

/// The plan of segments of these lengths.
AttentionPlan attention_plan(std::vector<int64_t> lengths, at::Device device);

/// softmax(scale * q k^T) v, causal within each segment; query i sees key j iff j <= i and, if
/// window > 0, i - window < j. q [T, Nq, D], k and v [T, Nkv, D], Nq a multiple of Nkv -> [T, Nq,
/// D]. KV head g serves query heads g * Nq / Nkv and on. CPU, and fp32 on any device: segment by
/// segment through ATen's fused attention. CUDA in bf16 or fp16: FlashAttention-2.
at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const AttentionPlan& plan, double scale, int64_t window);

/// softmax(scale * q k^T) v within each segment, every query seeing all keys of its segment: vision
/// towers. Shapes and number types as above; runs of equally long segments are one product.
at::Tensor segment_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const AttentionPlan& plan, double scale);

/// The causal one for tokens that follow others whose keys and values are kept: B sequences get n
/// new tokens each. q [B, n, Nq, D]; keys and values [B, C, Nkv, D], those of the new tokens among
/// them; visible [B, n, C] bool: which keys a new token sees, at least one. -> [B, n, Nq, D].
/// Without gradients in mind: one product for all sequences, over the padded C.
at::Tensor cached_attention(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                            const at::Tensor& visible, double scale);

/// The name of the kernel that causal_attention would take, for the start-up table.
const char* causal_attention_kernel(at::Device device, at::ScalarType dtype);

}  // namespace lmms::kernels
