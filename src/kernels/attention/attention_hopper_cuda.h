#pragma once
/// Attention over packed segments by our own kernels for Hopper: backward, bf16.
#include <cstdint>

#include "kernels/attention/attention_operand.h"

#ifdef __CUDACC__
#define LMMS_BOTH_SIDES __host__ __device__
#else
#define LMMS_BOTH_SIDES
#endif

struct CUstream_st;

namespace lmms::kernels {

inline constexpr int64_t kHopperHead = 128;  ///< head_dim at most
inline constexpr int kHopperQueries = 64;    ///< rows of a tile of queries
inline constexpr int kHopperKeys = 128;      ///< rows of a block of keys

/// The width that heads of head_dim, a multiple of 8 and at most 128, are computed in.
inline int64_t hopper_width(int64_t head_dim) {
  return head_dim <= 80 ? 80 : 128;
}

/// The first tile of queries of segment number `segment`, which begins at token `begin`: no tile is
/// of two segments.
LMMS_BOTH_SIDES inline int32_t hopper_first_tile(int32_t begin, int32_t segment) {
  return begin / kHopperQueries + segment;
}

/// One block of keys of one segment.
struct alignas(16) HopperBlock {
  int32_t begin;   ///< the segment's first token
  int32_t length;  ///< its tokens
  int32_t tile;    ///< its first tile of queries
  int32_t block;   ///< which of its blocks of keys
};

/// Gradients of queries are summed in fp32 by all blocks of keys, in an order that varies; those of
/// keys and values stay in registers, however many query heads share them.
struct HopperBackward {
  int64_t tokens, heads, kv_heads, head_dim, segments;
  int64_t tiles;              ///< tokens / 64 + segments: room for every segment's tiles
  const int32_t* starts;      ///< [segments + 1] on the device: prefix sums of lengths
  const HopperBlock* blocks;  ///< [block_count] on the device, those of a segment together
  int64_t block_count;        ///< with blocks of length 0 at the end
  AttentionOperand<const void> q, k, v, out, dout;
  AttentionOperand<void> dq, dk, dv;
  const float* lse;  ///< of the scaled scores of a query
  /// Its strides. lse_segment 0: tokens are counted from the first of all, else from the segment's.
  int64_t lse_token, lse_head, lse_segment;
  void* workspace;  ///< hopper_workspace_bytes
  bool causal;
  int64_t window;  ///< 0: none
  float scale;
};

/// fp32: a tile of each head of q's gradient, of lse and of the sums of out * dout.
inline int64_t hopper_workspace_bytes(int64_t heads, int64_t head_dim, int64_t tiles) {
  return heads * tiles * kHopperQueries * (hopper_width(head_dim) + 2) * 4;
}

/// Three launches on `stream`. FLOPs: 10 heads head_dim a visible pair of tokens.
void attention_backward_hopper(const HopperBackward& x, CUstream_st* stream);

#undef LMMS_BOTH_SIDES

}  // namespace lmms::kernels
