#pragma once
/// Attention over packed sequences: every segment attends within itself, never a dense [T, T] mask.
/// T tokens, Nq query heads on Nkv key and value heads of D numbers each, S segments.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lmms::kernels {

struct AttentionOffsets;

/// What compiled kernels are sized for: the true numbers may be any that are not larger.
struct AttentionCapacity {
  int64_t segments = 0;
  int64_t length = 0;  ///< of the longest segment
};

/// Which tokens see which, built on the host from the segments of a batch.
struct AttentionPlan {
  std::vector<int64_t> lengths;  ///< [S] tokens of each segment, in order; together T
  at::Tensor cu_seqlens;         ///< [S + 1] int32 on the device: prefix sums of lengths
  int64_t max_length = 0;
  int64_t equal_length = 0;  ///< of every segment; 0 if they differ
  AttentionCapacity capacity;
  /// int32 on the device, each part at a multiple of 32: where each of capacity.segments segments
  /// begins and at last T; their lengths; their blocks of keys (HopperBlock), the longest segments
  /// first. Segments beyond S are empty.
  at::Tensor padded;
  int64_t block_count = 0;                    ///< room for blocks: T / 128 + capacity.segments
  std::shared_ptr<AttentionOffsets> offsets;  ///< made at need, once for all layers of a batch
};

/// The plan of segments of these lengths: one asynchronous copy from pinned memory.
AttentionPlan attention_plan(std::vector<int64_t> lengths, at::Device device);
/// The same with a capacity of one's own, at least what the lengths need.
AttentionPlan attention_plan(std::vector<int64_t> lengths, at::Device device,
                             const AttentionCapacity& capacity);

/// softmax(scale * q k^T) v, causal within each segment; query i sees key j iff j <= i and, if
/// window > 0, i - window < j. q [T, Nq, D], k and v [T, Nkv, D], Nq a multiple of Nkv -> [T, Nq,
/// D]. KV head g serves query heads g * Nq / Nkv and on. The fused core where it takes them
/// (below), else segment by segment through ATen's fused attention: CPU, and fp32 on any device.
at::Tensor causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const AttentionPlan& plan, double scale, int64_t window);

/// softmax(scale * q k^T) v within each segment, every query seeing all keys of its segment: vision
/// towers. Shapes and number types as above; without the core, runs of equally long segments are
/// one product.
at::Tensor segment_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const AttentionPlan& plan, double scale);

/// The causal one for tokens that follow others whose keys and values are kept: B sequences get n
/// new tokens each. q [B, n, Nq, D]; keys and values [B, C, Nkv, D], those of the new tokens among
/// them; visible [B, n, C] bool: which keys a new token sees, at least one. -> [B, n, Nq, D].
/// Without gradients in mind: one product for all sequences, over the padded C.
at::Tensor cached_attention(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                            const at::Tensor& visible, double scale);

/// The kernels that causal_attention would take, for the start-up table.
std::string causal_attention_kernel(at::Device device, at::ScalarType dtype);

// The fused core, without autograd, for wider ops to build on. Several kernels stand behind it;
// attention_rule.h says which takes what.

enum class Mask { full, causal };

struct AttentionShape {
  Mask mask = Mask::causal;
  int64_t window = 0;  ///< keys that a causal query sees, itself among them; 0: all before it
  double scale = 1;
};

struct AttentionOutput {
  at::Tensor out;  ///< [T, Nq, D] contiguous
  at::Tensor lse;  ///< fp32 [T, Nq] or, of S equally long segments, [S, T / S, Nq]; strides vary
};

/// Whether the core takes these: CUDA or meta, bf16 or fp16, D a multiple of 8 and at most 256.
bool attention_is_fused(at::Device device, at::ScalarType dtype, int64_t head_dim);

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
