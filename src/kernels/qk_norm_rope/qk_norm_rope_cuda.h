#pragma once
/// The CUDA kernels behind qk_norm_rope.h, in plain types.
#include <cstdint>

struct CUstream_st;

namespace lmms::kernels {

/// Queries and keys of T tokens, side by side in a row: q_heads heads of D, then k_heads.
/// Forward: y = rope(norm(x)); without weights rope(x). Backward (`dy` given): dx, and partial sums
/// of the weights' gradients. y may be x where there is no norm; dx may be dy.
/// D a multiple of two packs of sixteen bytes; with a norm D / (2 pack) a power of two, at most 32.
/// All addresses and strides are multiples of sixteen bytes.
/// Bytes moved: 2 (backward: 3, without a norm 2) * T * heads * D * size, and the tables.
struct QkNormRopeArgs {
  const void* x = nullptr;  ///< not read in backward without a norm
  const void* dy = nullptr;
  void* out = nullptr;                                  ///< y or dx
  int64_t x_stride = 0, dy_stride = 0, out_stride = 0;  ///< elements from token to token
  const void *q_weight = nullptr, *k_weight = nullptr;  ///< [D] each; null: no norm
  const float *cos = nullptr, *sin = nullptr;           ///< [T, D / 2]
  float* partials = nullptr;  ///< [qk_norm_partials().q + .k, D], those of queries first
  int64_t T = 0, q_heads = 0, k_heads = 0, D = 0;
  float eps = 0;
  bool bf16 = true;  ///< else fp32
};
void qk_norm_rope_cuda(const QkNormRopeArgs&, CUstream_st*);

/// Rows of partial sums for the weight of queries and of keys.
struct QkNormPartials {
  int64_t q = 0, k = 0;
};
QkNormPartials qk_norm_partials(int64_t q_heads, int64_t k_heads);

}  // namespace lmms::kernels
