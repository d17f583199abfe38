#pragma once
/// Attention over packed sequences; attention_plan.h says which tokens see which.
/// T tokens, Nq query heads on Nkv key and value heads of D numbers each, S segments.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "kernels/attention/attention_plan.h"

namespace lmms::kernels {

struct AttentionShape {
  int64_t window = 0;  ///< keys that a causal query sees, itself among them; 0: all before it
  double scale = 1;
};

/// softmax(scale * q k^T) v over the keys that each query sees by the plan. q [T, Nq, D], k and v
/// [K, Nkv, D] (K == T in a uniform plan), Nq a multiple of Nkv -> [T, Nq, D]. KV head g serves
/// query heads g * Nq / Nkv and on. Of a uniform plan the fused core where it takes them (below),
/// else ATen's fused attention: causal segments one by one, full ones in runs of equal length. Of
/// any other plan, on any device, ATen's segment by segment, each with copies of the keys that it
/// sees.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                     const AttentionPlan& plan, const AttentionShape& shape);

/// Attention of tokens that follow others whose keys and values are kept: B sequences get n new
/// tokens each. q [B, n, Nq, D]; keys and values [B, C, Nkv, D], those of the new tokens among
/// them; visible [B, n, C] bool: which keys a new token sees, at least one. -> [B, n, Nq, D].
/// Without gradients in mind: one product for all sequences, over the padded C.
at::Tensor cached_attention(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                            const at::Tensor& visible, double scale);

/// The kernels that attention would take for a uniform plan, for the start-up table.
std::string attention_kernel(at::Device device, at::ScalarType dtype);

// The fused core, without autograd, for wider ops to build on. It takes uniform plans alone.
// Several kernels stand behind it; attention_rule.h says which takes what.

struct AttentionOutput {
  at::Tensor out;  ///< [T, Nq, D] contiguous
  at::Tensor lse;  ///< fp32 [T, Nq] or, of S equally long segments, [S, T / S, Nq]; strides vary
};

/// Whether the core takes these: a uniform plan, CUDA or meta, bf16 or fp16, D a multiple of 8 and
/// at most 256.
bool attention_is_fused(const AttentionPlan& plan, at::Device device, at::ScalarType dtype,
                        int64_t head_dim);

/// Reads q, k, v that may be strided: unit stride in D, D between heads, any multiple of 8 between
/// tokens, 16-byte aligned (parts of rows of one [T, (Nq + 2 Nkv) D] buffer, for example).
/// FLOPs: 4 Nq D a visible pair of tokens. Source: Dao 2023, arXiv 2307.08691.
AttentionOutput attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionPlan& plan, const AttentionShape& shape);

/// Writes dq [T, Nq, D], dk and dv [T, Nkv, D], with the same distance between tokens as q, k
/// and v have (cuDNN gives a wrong dq else; checked); dout may be strided as they may.
/// FLOPs: 10 Nq D a visible pair. dq is summed in fp32 in an order that varies: not the same bits
/// every run, unless ATen is asked for deterministic algorithms, which takes FlashAttention-2's
/// ordered sum: backward then takes 3.8 times as long (H200, D=128, 32k tokens packed). cuDNN's
/// workspace holds dq once and, under grouped queries, dk and dv for every query head, all in fp32
/// and at the gradient's distance between tokens: contiguous gradients cost least; our own
/// holds dq alone.
void attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                        const at::Tensor& v, const AttentionOutput& output,
                        const AttentionPlan& plan, const AttentionShape& shape, at::Tensor& dq,
                        at::Tensor& dk, at::Tensor& dv);

/// Builds what forward and backward with these would build on `device` at their first call, and
/// runs nothing. Only sizes, strides and types of the tensors are read: meta tensors will do.
/// 1.6 s for the first of a process, 0.1 s for others.
void warm_attention(at::Device device, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v, const at::Tensor& dq, const at::Tensor& dk,
                    const at::Tensor& dv, const AttentionPlan& plan, const AttentionShape& shape);

/// The same for some small problem of this type: libraries are loaded then. Meant for a thread
/// beside the one that loads the weights.
void warm_attention(at::Device device, at::ScalarType dtype);

}  // namespace lmms::kernels
