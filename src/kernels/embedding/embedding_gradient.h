#pragma once
/// slot[id] += sum of dy over the positions of id; embedding.h says what order, pieces and runs
/// are.
#include <cstdint>

struct CUstream_st;

namespace lmms::kernels {

struct EmbeddingGradientArgs {
  const void* dy = nullptr;   ///< [T, H] bf16 or fp32, rows contiguous and 16-byte aligned
  void* slot = nullptr;       ///< [V, H] bf16 or fp32, likewise
  float* partials = nullptr;  ///< [number of partial sums, H]
  const int32_t* order = nullptr;
  const int32_t* pieces = nullptr;
  const int32_t* runs = nullptr;
  int64_t piece_count = 0, run_count = 0, H = 0;
  bool dy_is_bf16 = true, slot_is_bf16 = true;
};
void embedding_gradient_cuda(const EmbeddingGradientArgs& args, CUstream_st* stream);

}  // namespace lmms::kernels
