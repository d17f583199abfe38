#pragma once
/// The CUDA kernel behind partial_sums.h, in plain types.
#include <cstdint>

struct CUstream_st;

namespace lmms::kernels {

/// out[d] (+)= sum over rows of partials[row, d], in the order of rows: the same bits in every run.
/// partials [rows, D] fp32; out [D] bf16 or fp32.
struct PartialSumsArgs {
  const float* partials = nullptr;
  int64_t rows = 0, D = 0;
  void* out = nullptr;
  bool bf16 = true;  ///< `out`; else fp32
  bool add = false;  ///< to what `out` holds
};
void partial_sums_cuda(const PartialSumsArgs&, CUstream_st*);

}  // namespace lmms::kernels
