// Bound by memory. A warp reads 256 neighbouring columns (sixteen bytes a thread) of one row at a
// time; the eight warps of a block take every eighth row of the block's share, four rows in flight.
// Enough shares to fill the device twice; partial_sums/ adds their partial rows.
#include "kernels/linear/column_sum_cuda.h"
#include "kernels/partial_sums/partial_row.cuh"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

constexpr int kWarps = 8, kColumns = 256, kAhead = 4;
using P = Pack<__nv_bfloat16>;

__global__ void __launch_bounds__(32 * kWarps)
    column_sum(const __nv_bfloat16* x, int64_t T, int64_t N, float* partials) {
  __shared__ float shared[kWarps][kColumns + 8];
  const int64_t column = int64_t{blockIdx.x} * kColumns + threadIdx.x * P::kSize;
  const bool inside = column < N;
  const int64_t share = (T + gridDim.y - 1) / gridDim.y, begin = blockIdx.y * share,
                end = begin + share < T ? begin + share : T;
  float sums[P::kSize] = {};
  for (int64_t row = begin + threadIdx.y; inside && row < end; row += kWarps * kAhead) {
    P packs[kAhead];
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      if (row + k * kWarps < end) packs[k] = P::load_streaming(x + (row + k * kWarps) * N + column);
    }
#pragma unroll
    for (int k = 0; k < kAhead; ++k) {
      if (row + k * kWarps >= end) continue;
#pragma unroll
      for (int i = 0; i < P::kSize; ++i) sums[i] += to_float(packs[k].values[i]);
    }
  }
#pragma unroll
  for (int i = 0; i < P::kSize; ++i) shared[threadIdx.y][threadIdx.x * P::kSize + i] = sums[i];
  __syncthreads();
  const int64_t first = int64_t{blockIdx.x} * kColumns, left = N - first;
  write_partial_row(partials + blockIdx.y * N + first, &shared[0][0], kWarps, kColumns + 8,
                    left < kColumns ? static_cast<int>(left) : kColumns,
                    threadIdx.y * 32 + threadIdx.x, 32 * kWarps);
}

}  // namespace

int64_t column_sum_rows(int64_t T, int64_t N) {
  const int64_t across = (N + kColumns - 1) / kColumns,
                wanted = (8 * multiprocessors() + across - 1) / across,
                most = (T + kWarps - 1) / kWarps;
  return wanted < most ? wanted : most > 0 ? most : 1;
}

void column_sum_cuda(const void* x, int64_t T, int64_t N, float* partials, CUstream_st* stream) {
  const dim3 grid(static_cast<unsigned>((N + kColumns - 1) / kColumns),
                  static_cast<unsigned>(column_sum_rows(T, N)));
  column_sum<<<grid, dim3(32, kWarps), 0, stream>>>(static_cast<const __nv_bfloat16*>(x), T, N,
                                                    partials);
}

}  // namespace lmms::kernels
