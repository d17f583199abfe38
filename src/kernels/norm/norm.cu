// Bound by memory. A row belongs to the threads of one warp, or of several where it is longer: each
// thread keeps its share of the row (up to five packs of sixteen bytes) in registers between the
// sum and the use of the sum, so that every number is read once and written once. Short rows go
// eight to a block.
//
// Backward of RMSNorm, with n = x * rstd, g = dy * w:  dx = rstd * (g - n * mean_d(g n)),
// dw = sum_rows dy * n. Of LayerNorm, with n = (x - mean) * rstd:
// dx = rstd * (g - mean_d(g) - n * mean_d(g n)), db = sum_rows dy.
// A thread owns the same columns in every row that its block takes, so that the sums over rows stay
// in its registers; a block writes one partial row, and partial_sums/ adds those in order.
// Backward has the next row on its way to shared memory while it works on one: else arithmetic and
// memory take turns (67 % of the copy instead of 77 at rows of 1,024, 45 instead of 79 of
// LayerNorm).
//
// Refused: rows that are no multiple of sixteen bytes, or longer than kMostNormBytes.
#include <algorithm>
#include <type_traits>

#include "kernels/norm/norm_cuda.h"
#include "kernels/partial_sums/partial_row.cuh"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

constexpr int kBlock = 256;
constexpr int kMostPacks = 4;  // of a thread, where the threads of a block suffice

// Blocks of a multiprocessor in backward, by what its registers hold.
constexpr int backward_blocks(int packs, bool layer) {
  return packs == 1 ? 4 : packs == 2 && !layer ? 3 : 2;
}

struct Shape {
  int threads;  // of a row
  int rows;     // of a block
  int packs;    // of a thread
};

// `wanted`: packs of a thread, as long as a block's threads suffice.
Shape shape_of(int64_t packs, int wanted) {
  const auto warps = static_cast<int>((packs + wanted * 32 - 1) / (wanted * 32));
  const int threads = warps * 32 < kBlock ? warps * 32 : kBlock;
  return {threads, kBlock / threads, static_cast<int>((packs + threads - 1) / threads)};
}

// The sum over the threads of a row. `shared`: one float a warp of the block.
__device__ float row_sum(float x, float* shared) {
  x = warp_sum(x);
  const int warps = blockDim.x / 32;
  if (warps == 1) return x;
  __syncthreads();
  float* mine = shared + threadIdx.y * warps;
  if (threadIdx.x % 32 == 0) mine[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int w = 0; w < warps; ++w) sum += mine[w];
  return sum;
}

// The sums of two numbers over the threads of a row, with one barrier: calls take two buffers in
// turns.
template <bool kBoth>
__device__ float2 row_sums(float2 x, float2* shared) {
  x.x = warp_sum(x.x);
  if constexpr (kBoth) x.y = warp_sum(x.y);
  const int warps = blockDim.x / 32;
  if (warps == 1) return x;
  float2* mine = shared + threadIdx.y * warps;
  if (threadIdx.x % 32 == 0) mine[threadIdx.x / 32] = x;
  __syncthreads();
  float2 sum{0, 0};
  for (int w = 0; w < warps; ++w) {
    sum.x += mine[w].x;
    if constexpr (kBoth) sum.y += mine[w].y;
  }
  return sum;
}

template <class T, int kPacks, bool kAdd, bool kLayer>
__global__ void __launch_bounds__(kBlock) forward(NormForward a) {
  using P = Pack<T>;
  __shared__ float shared[kBlock / 32];
  const int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  const bool inside = row < a.T;
  const int packs = static_cast<int>(a.D / P::kSize);
  const int64_t begin = row * a.D;
  P x[kPacks];
  float total = 0;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    const int pack = threadIdx.x + k * blockDim.x;
    if (!inside || pack >= packs) continue;
    x[k] = P::load(static_cast<const T*>(a.x) + begin + pack * P::kSize);
    if constexpr (kAdd) {
      const P r = P::load(static_cast<const T*>(a.residual) + begin + pack * P::kSize);
#pragma unroll
      for (int i = 0; i < P::kSize; ++i)
        x[k].values[i] = from_float<T>(to_float(x[k].values[i]) + to_float(r.values[i]));
      x[k].store(static_cast<T*>(a.sum) + begin + pack * P::kSize);
    }
#pragma unroll
    for (int i = 0; i < P::kSize; ++i) {
      const float v = to_float(x[k].values[i]);
      total += kLayer ? v : v * v;
    }
  }
  total = row_sum(total, shared) / static_cast<float>(a.D);
  float mean = 0, square = total;
  if constexpr (kLayer) {
    mean = total;
    float spread = 0;
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      if (!inside || threadIdx.x + k * blockDim.x >= packs) continue;
#pragma unroll
      for (int i = 0; i < P::kSize; ++i) {
        const float v = to_float(x[k].values[i]) - mean;
        spread += v * v;
      }
    }
    square = row_sum(spread, shared) / static_cast<float>(a.D);
  }
  const float rstd = rsqrtf(square + a.eps);
  if (!inside) return;
  if (threadIdx.x == 0) {
    a.rstd[row] = rstd;
    if constexpr (kLayer) a.mean[row] = mean;
  }
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    const int pack = threadIdx.x + k * blockDim.x;
    if (pack >= packs) continue;
    const P w = P::load(static_cast<const T*>(a.weight) + pack * P::kSize);
    P b;
    if constexpr (kLayer) b = P::load(static_cast<const T*>(a.bias) + pack * P::kSize);
    P y;
#pragma unroll
    for (int i = 0; i < P::kSize; ++i) {
      float v = (to_float(x[k].values[i]) - mean) * rstd * to_float(w.values[i]);
      if constexpr (kLayer) v += to_float(b.values[i]);
      y.values[i] = from_float<T>(v);
    }
    y.store(static_cast<T*>(a.y) + begin + pack * P::kSize);
  }
}

// Adds the rows of a block and writes its partial row.
template <int kPacks, int kSize>
__device__ void write_partial(const float (&sums)[kPacks][kSize], float* partial, float* shared,
                              int packs) {
  const int D = packs * kSize;
  if (blockDim.y > 1) {
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int pack = threadIdx.x + k * blockDim.x;
      if (pack >= packs) continue;
#pragma unroll
      for (int i = 0; i < kSize; ++i) shared[threadIdx.y * D + pack * kSize + i] = sums[k][i];
    }
    __syncthreads();
    write_partial_row(partial, shared, blockDim.y, D, D, threadIdx.y * blockDim.x + threadIdx.x,
                      blockDim.x * blockDim.y);
    __syncthreads();
    return;
  }
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    const int pack = threadIdx.x + k * blockDim.x;
    if (pack >= packs) continue;
#pragma unroll
    for (int i = 0; i < kSize; ++i) partial[pack * kSize + i] = sums[k][i];
  }
}

// What backward reads of a row, on its way to shared memory by cp.async, into the slots 0 and 1 in
// turns. A thread's packs are for itself alone: no barrier is needed.
template <class T, int kPacks>
class Ahead {
 public:
  using P = Pack<T>;
  // long rows read dsum when they need it: 99 KB are all that some GPUs give a block
  static constexpr int kTensors = kPacks > 4 ? 2 : 3;
  static constexpr int kBytes = 2 * kTensors * kPacks * kBlock * 16;

  __device__ Ahead(const NormBackward& a, uint4* room)
      : a_(a),
        packs_(static_cast<int>(a.D / P::kSize)),
        mine_(room + threadIdx.y * blockDim.x + threadIdx.x) {}

  __device__ void fetch(int64_t row, int slot) {
    if (row >= a_.T) return;
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int pack = threadIdx.x + k * blockDim.x;
      if (pack >= packs_) continue;
      const int64_t at = row * a_.D + pack * P::kSize;
      copy_async(place(slot, 0, k), static_cast<const T*>(a_.dy) + at);
      copy_async(place(slot, 1, k), static_cast<const T*>(a_.x) + at);
      if (kTensors > 2 && a_.dsum != nullptr)
        copy_async(place(slot, 2, k), static_cast<const T*>(a_.dsum) + at);
    }
  }
  __device__ P dy(int slot, int k) const {
    return pack_of(slot, 0, k);
  }
  __device__ P x(int slot, int k) const {
    return pack_of(slot, 1, k);
  }
  __device__ P dsum(int64_t row, int slot, int k) const {
    if constexpr (kTensors > 2) return pack_of(slot, 2, k);
    const int pack = threadIdx.x + k * blockDim.x;
    return P::load(static_cast<const T*>(a_.dsum) + row * a_.D + pack * P::kSize);
  }

 private:
  __device__ uint4* place(int slot, int tensor, int k) const {
    return mine_ + ((slot * kTensors + tensor) * kPacks + k) * kBlock;
  }
  __device__ P pack_of(int slot, int tensor, int k) const {
    return P::load(reinterpret_cast<const T*>(place(slot, tensor, k)));
  }

  const NormBackward& a_;
  int packs_;
  uint4* mine_;
};

template <class T, int kPacks, bool kLayer>
__global__ void __launch_bounds__(kBlock, backward_blocks(kPacks, kLayer))
    backward(NormBackward a) {
  using P = Pack<T>;
  extern __shared__ uint4 room[];            // of Ahead, then [blockDim.y, D] floats
  __shared__ float2 shared[2][kBlock / 32];  // in turns
  const int packs = static_cast<int>(a.D / P::kSize);
  const float inverse = 1.0f / static_cast<float>(a.D);
  float dw[kPacks][P::kSize] = {}, db[kLayer ? kPacks : 1][P::kSize] = {};
  Ahead<T, kPacks> ahead(a, room);
  const int64_t stride = int64_t{gridDim.x} * blockDim.y;
  int64_t row = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  ahead.fetch(row, 0);
  const auto statistic = [&](const float* of, int64_t row) { return row < a.T ? of[row] : 0; };
  float next_rstd = statistic(a.rstd, row), next_mean = kLayer ? statistic(a.mean, row) : 0;
  int turn = 0;
  for (; row - threadIdx.y < a.T; row += stride) {
    const bool inside = row < a.T;
    const float rstd = next_rstd, mean = next_mean;
    wait_for_copies();
    float dot = 0, sum = 0;
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int pack = threadIdx.x + k * blockDim.x;
      if (!inside || pack >= packs) continue;
      const P w = P::load(static_cast<const T*>(a.weight) + pack * P::kSize);
      const P dy = ahead.dy(turn, k), x = ahead.x(turn, k);
#pragma unroll
      for (int i = 0; i < P::kSize; ++i) {
        const float d = to_float(dy.values[i]), g = d * to_float(w.values[i]),
                    n = (to_float(x.values[i]) - mean) * rstd;
        dw[k][i] += d * n;
        dot += g * n;
        if constexpr (kLayer) {
          db[k][i] += d;
          sum += g;
        }
      }
    }
    ahead.fetch(row + stride, 1 - turn);
    next_rstd = statistic(a.rstd, row + stride);
    if constexpr (kLayer) next_mean = statistic(a.mean, row + stride);
    const float2 sums = row_sums<kLayer>({dot, sum}, shared[turn]);
    dot = sums.x * inverse;
    sum = sums.y * inverse;
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int pack = threadIdx.x + k * blockDim.x;
      if (!inside || pack >= packs) continue;
      const P w = P::load(static_cast<const T*>(a.weight) + pack * P::kSize);  // in the L1 cache
      const P dy = ahead.dy(turn, k), x = ahead.x(turn, k);
      P dx, more;
      if (a.dsum != nullptr) more = ahead.dsum(row, turn, k);
#pragma unroll
      for (int i = 0; i < P::kSize; ++i) {
        const float g = to_float(dy.values[i]) * to_float(w.values[i]),
                    n = (to_float(x.values[i]) - mean) * rstd;
        float d = rstd * (g - sum - n * dot);
        if (a.dsum != nullptr) d += to_float(more.values[i]);
        dx.values[i] = from_float<T>(d);
      }
      dx.store(static_cast<T*>(a.dx) + row * a.D + pack * P::kSize);
    }
    turn = 1 - turn;
  }
  __syncthreads();  // `room` changes hands
  float* partial = a.partials + int64_t{blockIdx.x} * a.D;
  auto* rows = reinterpret_cast<float*>(room);
  write_partial(dw, partial, rows, packs);
  if constexpr (kLayer) write_partial(db, partial + int64_t{gridDim.x} * a.D, rows, packs);
}

template <class T, int kPacks>
void launch_forward(const NormForward& a, const Shape& s, CUstream_st* stream) {
  const dim3 block(s.threads, s.rows);
  const auto grid = static_cast<unsigned>((a.T + s.rows - 1) / s.rows);
  const bool layer = a.bias != nullptr;
  if (a.residual != nullptr) {
    layer ? forward<T, kPacks, true, true><<<grid, block, 0, stream>>>(a)
          : forward<T, kPacks, true, false><<<grid, block, 0, stream>>>(a);
  } else {
    layer ? forward<T, kPacks, false, true><<<grid, block, 0, stream>>>(a)
          : forward<T, kPacks, false, false><<<grid, block, 0, stream>>>(a);
  }
}

template <class T, int kPacks>
void launch_backward(const NormBackward& a, const Shape& s, CUstream_st* stream) {
  const dim3 block(s.threads, s.rows);
  const bool layer = a.mean != nullptr;
  const auto grid = static_cast<unsigned>(backward_blocks(kPacks, layer) * multiprocessors());
  const int rows = s.rows > 1 ? static_cast<int>(s.rows * a.D * sizeof(float)) : 0;
  const int shared = std::max(Ahead<T, kPacks>::kBytes, rows);
  const auto kernel = layer ? &backward<T, kPacks, true> : &backward<T, kPacks, false>;
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
  kernel<<<grid, block, shared, stream>>>(a);
}

template <class T, class Args, class Launch>
void by_packs(const Args& a, int wanted, Launch launch) {
  const Shape s = shape_of(a.D / Pack<T>::kSize, wanted);
  switch (s.packs) {
    case 1:
      return launch(std::integral_constant<int, 1>(), s);
    case 2:
      return launch(std::integral_constant<int, 2>(), s);
    case 3:
      return launch(std::integral_constant<int, 3>(), s);
    case 4:
      return launch(std::integral_constant<int, 4>(), s);
    default:
      return launch(std::integral_constant<int, 5>(), s);
  }
}

}  // namespace

int64_t norm_partials(int64_t D, NormDtype dtype, bool layer) {
  const int64_t size = dtype == NormDtype::bf16 ? 8 : 4;
  const Shape s = shape_of(D / size, kMostPacks);
  return int64_t{backward_blocks(s.packs, layer)} * multiprocessors();
}

void norm_forward_cuda(const NormForward& a, CUstream_st* stream) {
  if (a.T == 0) return;
  if (a.dtype == NormDtype::bf16) {
    by_packs<__nv_bfloat16>(a, kMostPacks, [&](auto packs, const Shape& s) {
      launch_forward<__nv_bfloat16, decltype(packs)::value>(a, s, stream);
    });
  } else {
    by_packs<float>(a, kMostPacks, [&](auto packs, const Shape& s) {
      launch_forward<float, decltype(packs)::value>(a, s, stream);
    });
  }
}

void norm_backward_cuda(const NormBackward& a, CUstream_st* stream) {
  if (a.dtype == NormDtype::bf16) {
    by_packs<__nv_bfloat16>(a, kMostPacks, [&](auto packs, const Shape& s) {
      launch_backward<__nv_bfloat16, decltype(packs)::value>(a, s, stream);
    });
  } else {
    by_packs<float>(a, kMostPacks, [&](auto packs, const Shape& s) {
      launch_backward<float, decltype(packs)::value>(a, s, stream);
    });
  }
}

}  // namespace lmms::kernels
