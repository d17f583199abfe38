// Bound by latency: the partial rows are few (some a multiprocessor) and in the L2 cache. A block
// takes 32 columns; its eight warps add every eighth row each, then their sums meet in shared
// memory.
#include "kernels/partial_sums/partial_sums_cuda.h"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

constexpr int kColumns = 32, kWarps = 8;

template <class Out>
__global__ void sum_rows(const float* partials, int64_t rows, int64_t D, Out* out, bool add) {
  __shared__ float shared[kWarps][kColumns + 1];
  const int64_t d = int64_t{blockIdx.x} * kColumns + threadIdx.x;
  float sum = 0;
  if (d < D) {
    for (int64_t row = threadIdx.y; row < rows; row += kWarps) sum += partials[row * D + d];
  }
  shared[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y > 0 || d >= D) return;
  sum = add ? to_float(out[d]) : 0;
#pragma unroll
  for (int y = 0; y < kWarps; ++y) sum += shared[y][threadIdx.x];
  out[d] = from_float<Out>(sum);
}

template <class Out>
void launch(const PartialSumsArgs& a, CUstream_st* stream) {
  const auto grid = static_cast<unsigned>((a.D + kColumns - 1) / kColumns);
  sum_rows<<<grid, dim3(kColumns, kWarps), 0, stream>>>(a.partials, a.rows, a.D,
                                                        static_cast<Out*>(a.out), a.add);
}

}  // namespace

void partial_sums_cuda(const PartialSumsArgs& a, CUstream_st* stream) {
  a.bf16 ? launch<__nv_bfloat16>(a, stream) : launch<float>(a, stream);
}

}  // namespace lmms::kernels
