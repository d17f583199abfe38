// Two launches a step, whatever the number of buckets: sums of squares (one block of threads for
// each kNormBlock gradients, 16-byte loads, four of them before the first use) and one block that
// adds them and decides. Tables on the device say which block works where. The first is bound by
// memory; the second takes microseconds. Sums are combined in a fixed order: the norm has the same
// bits in every run.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/step_control/step_control.h"

namespace lmms::kernels {
namespace {

constexpr int kThreads = 256;
static_assert(kNormBlock % (kThreads * 8 * 4) == 0);

__device__ float load(float x) {
  return x;
}
__device__ float load(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

template <int threads>
__device__ double block_sum(double x) {
  __shared__ double shared[threads];
  shared[threadIdx.x] = x;
  __syncthreads();
  for (int half = threads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  return shared[0];
}

// Four 16-byte loads before the first use.
template <class T>
__device__ double squares(const T* gradient, int64_t count) {
  constexpr int kLane = 16 / sizeof(T);
  struct alignas(16) Pack {
    T at[kLane];
  };
  double sum = 0;
  int64_t done = 0;
  if (reinterpret_cast<uintptr_t>(gradient) % 16 == 0) {
    const auto* packs = reinterpret_cast<const Pack*>(gradient);
    const int64_t whole = count / kLane;
    for (int64_t i = threadIdx.x; i < whole; i += 4 * kThreads) {
      Pack pack[4] = {};
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        if (i + k * kThreads < whole) pack[k] = packs[i + k * kThreads];
      }
#pragma unroll
      for (int k = 0; k < 4; ++k) {
#pragma unroll
        for (int j = 0; j < kLane; ++j) {
          const double g = load(pack[k].at[j]);
          sum += g * g;
        }
      }
    }
    done = whole * kLane;
  }
  for (int64_t i = done + threadIdx.x; i < count; i += kThreads) {
    const double g = load(gradient[i]);
    sum += g * g;
  }
  return sum;
}

__global__ void __launch_bounds__(kThreads)
    squares(const GradientSpan* spans, const Tile* tiles, double* partials) {
  const Tile tile = tiles[blockIdx.x];
  const GradientSpan span = spans[tile.range];
  const int64_t begin = int64_t{tile.index} * kNormBlock;
  const int64_t count = min(kNormBlock, span.count - begin);
  double sum = span.type == Stored::bf16
                   ? squares(static_cast<const __nv_bfloat16*>(span.gradient) + begin, count)
                   : squares(static_cast<const float*>(span.gradient) + begin, count);
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

constexpr int kDecideThreads = 1024;

__global__ void decide(StepControl* control, const double* partials, int64_t count) {
  double sum = 0;
#pragma unroll 8
  for (int64_t i = threadIdx.x; i < count; i += kDecideThreads) sum += partials[i];
  sum = block_sum<kDecideThreads>(sum);
  if (threadIdx.x == 0) step_decide(*control, sum);
}

}  // namespace

void sum_of_squares_cuda(const GradientSpan* spans, const Tile* tiles, int64_t tile_count,
                         double* partials, CUstream_st* stream) {
  if (tile_count == 0) return;
  squares<<<static_cast<unsigned>(tile_count), kThreads, 0, stream>>>(spans, tiles, partials);
}

void step_decide_cuda(StepControl* control, const double* partials, int64_t count,
                      CUstream_st* stream) {
  decide<<<1, kDecideThreads, 0, stream>>>(control, partials, count);
}

}  // namespace lmms::kernels
