#pragma once
/// The CUDA kernels behind norm.h, in plain types.
#include <cstdint>

struct CUstream_st;

namespace lmms::kernels {

enum class NormDtype : int32_t { f32, bf16 };

/// Rows that the kernels take: contiguous, 16-byte aligned, D a multiple of 16 bytes and at most
/// this long.
inline constexpr int64_t kMostNormBytes = 20480;

/// sum = x + residual (if there is one), y = norm(sum), row by row.
/// All [T, D] of `dtype`; weight, bias [D]; rstd, mean [T] fp32.
/// Bytes moved: (2 or 4) * T * D * size. Forward again over `sum` gives y with the same bits.
struct NormForward {
  const void* x = nullptr;
  const void* residual = nullptr;  ///< null: sum is x itself and is not written
  const void* weight = nullptr;
  const void* bias = nullptr;  ///< null: RMSNorm; else LayerNorm
  void* sum = nullptr;
  void* y = nullptr;
  float* rstd = nullptr;
  float* mean = nullptr;  ///< LayerNorm alone
  int64_t T = 0, D = 0;
  float eps = 0;
  NormDtype dtype = NormDtype::bf16;
};
void norm_forward_cuda(const NormForward&, CUstream_st*);

/// dx = dsum + d norm(x)^T dy, and the sums of the weight's (and bias's) gradient over rows.
/// Bytes moved: (3 or 4) * T * D * size.
struct NormBackward {
  const void* dy = nullptr;
  const void* x = nullptr;  ///< the sum that was normalised
  const void* weight = nullptr;
  const void* dsum = nullptr;  ///< gradient of `sum` from elsewhere; may be null
  const float* rstd = nullptr;
  const float* mean = nullptr;  ///< LayerNorm alone
  void* dx = nullptr;           ///< may be `dy` or `dsum`
  float* partials = nullptr;  ///< [norm_partials(...), D] for dweight, and as much again for dbias
  int64_t T = 0, D = 0;
  NormDtype dtype = NormDtype::bf16;
};
/// Rows of partial sums that the backward writes; `layer`: of LayerNorm.
int64_t norm_partials(int64_t D, NormDtype dtype, bool layer);
void norm_backward_cuda(const NormBackward&, CUstream_st*);

}  // namespace lmms::kernels
