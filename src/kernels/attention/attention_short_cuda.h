#pragma once
/// Attention where no segment exceeds 64 tokens, bf16, compute capability 8.0 and later: the
/// windows of a vision tower. A segment of a head is one block, whole in shared memory: nothing is
/// summed in global memory, and equal inputs give equal bits.
#include <cstdint>

#include "kernels/attention/attention_operand.h"

struct CUstream_st;

namespace lmms::kernels {

inline constexpr int64_t kShortSegment = 64;
inline constexpr int64_t kShortHead = 128;  ///< head_dim: a multiple of 8, at most this

struct ShortAttention {
  int64_t heads, head_dim, segments;  ///< each head has keys and values of its own
  const int32_t* starts;              ///< [segments + 1] on the device: prefix sums of lengths
  bool causal;
  int64_t window;  ///< 0: none
  float scale;
};

/// out = softmax(scale q k^T) v; lse [tokens, heads].
struct ShortForward {
  ShortAttention what;
  AttentionOperand<const void> q, k, v;
  AttentionOperand<void> out;
  float* lse;
};
void attention_forward_short(const ShortForward& x, CUstream_st* stream);

struct ShortBackward {
  ShortAttention what;
  AttentionOperand<const void> q, k, v, out, dout;
  AttentionOperand<void> dq, dk, dv;
  const float* lse;
};
void attention_backward_short(const ShortBackward& x, CUstream_st* stream);

}  // namespace lmms::kernels
