// Bound by memory. A block takes a chunk of tokens that have one row of the modulation.
//
// Forward: a token belongs to one warp, or to several where it is longer than five packs of sixteen
// bytes a thread; gate, shift and scale of the chunk's row lie in shared memory. (All threads of a
// block for one token, with the row in registers as backward has it: 63 % of the copy in place of
// 81, for want of loads under way between two barriers.)
//
// Backward: all threads of a block take one token after another, and a thread owns sixteen bytes of
// each, so that its columns of gate and scale, and the sums over the tokens of the gradients of
// gate, shift and scale, stay in registers: of several packs a thread they would not fit. With
// n = (x' - mean) * rstd, g = dy * (1 + scale):
//   dx' = dsum + rstd * (g - mean_d(g) - n * mean_d(g n)),  dshift = sum dy,  dscale = sum dy * n,
//   dx = dx',  ddelta = gate * dx',  dgate = sum dx' * delta,  sums over the tokens of a row.
// The next tokens are on their way to shared memory while it works on some; two tokens share a
// barrier. A block leaves one partial row of the sums, and a second kernel adds the chunks of each
// row in a fixed order.
//
// Refused: rows that are no multiple of sixteen bytes, or longer than kMostModulatedBytes.
#include <algorithm>
#include <type_traits>

#include "kernels/modulation/modulation_cuda.h"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

constexpr int kMostThreads = kMostModulatedBytes / 16, kMostWarps = kMostThreads / 32;
constexpr int64_t kShortBytes = 6144;  // up to here several tokens at once

// Tokens of a thread of backward at once, and threads of its block, of short rows and of long ones.
constexpr int kTokensAtOnce = 2;
constexpr int most_threads(int tokens) {
  return tokens > 1 ? kShortBytes / 16 : kMostThreads;
}

struct Chunk {
  int64_t begin, end;
  int64_t row;  // -1: none
  bool whole;   // all tokens of its row
};

__device__ inline int64_t row_start(const ModulationRows& rows, int64_t s, int64_t T) {
  const int64_t start = rows.starts != nullptr ? rows.starts[s] : s * rows.each;
  return start < T ? start : T;
}

// Chunks of a row lie together. Those of ragged row s begin with number start / chunk + s, which
// leaves room for its last, broken one.
__device__ inline int64_t first_chunk(const ModulationRows& rows, int64_t s, int64_t T) {
  return rows.starts != nullptr ? row_start(rows, s, T) / rows.chunk + s
                                : s * ((rows.each + rows.chunk - 1) / rows.chunk);
}

__device__ inline Chunk chunk_of(const ModulationRows& rows, int64_t T, int64_t number) {
  int64_t low = 0, high = rows.rows;  // the last row whose first chunk is not behind this one
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (first_chunk(rows, middle, T) <= number)
      low = middle;
    else
      high = middle - 1;
  }
  const int64_t start = row_start(rows, low, T),
                begin = start + (number - first_chunk(rows, low, T)) * rows.chunk;
  const int64_t end = low < rows.rows ? row_start(rows, low + 1, T) : T;
  return {begin, min(begin + rows.chunk, end), low < rows.rows ? low : -1,
          end - start <= rows.chunk};
}

// The sums of kCount numbers over the threads of the block, with one barrier: calls take two
// buffers in turns.
template <int kCount>
__device__ inline void block_sums(float (&x)[kCount], float (*shared)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) x[i] = warp_sum(x[i]);
  const int warps = blockDim.x / 32;
  if (warps == 1) return;
  if (threadIdx.x % 32 == 0) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) shared[threadIdx.x / 32][i] = x[i];
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kCount; ++i) x[i] = 0;
  for (int w = 0; w < warps; ++w) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) x[i] += shared[w][i];
  }
}

// This thread's columns of a part of the modulation; zeros without a row.
template <int kSize>
__device__ inline void load_part(float (&out)[kSize], const ModulationPart& part, int64_t row,
                                 int column) {
  if (row < 0) {
#pragma unroll
    for (int i = 0; i < kSize; ++i) out[i] = 0;
    return;
  }
#pragma unroll
  for (int i = 0; i < kSize; i += 4) {
    const float4 v = *reinterpret_cast<const float4*>(part.data + row * part.stride + column + i);
    out[i] = v.x;
    out[i + 1] = v.y;
    out[i + 2] = v.z;
    out[i + 3] = v.w;
  }
}

// Threads of a block of forward, and packs of a thread.
constexpr int kForwardThreads = 256, kMostPacks = 5;
// Blocks of a multiprocessor, by what the registers of its threads hold.
constexpr int forward_blocks(bool adds) {
  return adds ? 2 : 3;
}

// A token of forward belongs to this many warps, and a block takes so many at once.
struct Shape {
  int warps, tokens, packs;  // packs: of a thread
};

Shape shape_of(int packs) {
  const int warps = (packs + 32 * kMostPacks - 1) / (32 * kMostPacks);
  return {warps, std::max(1, kForwardThreads / 32 / warps),
          (packs + 32 * warps - 1) / (32 * warps)};
}

// gate, shift and scale of a row in shared memory, in planes of sixteen bytes a pack: lanes read
// neighbouring ones.
template <int kSize>
struct SharedRow {
  static constexpr int kPlanes = kSize / 4;
  enum Part { gate, shift, scale, kParts };
  float4* room;
  int packs;

  static int bytes(int packs) { return kParts * kPlanes * packs * 16; }

  __device__ void fill(Part part, const ModulationPart& from, int64_t row, int thread,
                       int threads) const {
    for (int i = thread; i < packs * kPlanes; i += threads) {
      float4 v{0, 0, 0, 0};
      if (row >= 0) v = *reinterpret_cast<const float4*>(from.data + row * from.stride + i * 4);
      room[(part * kPlanes + i % kPlanes) * packs + i / kPlanes] = v;
    }
  }
  __device__ void get(Part part, int pack, float (&out)[kSize]) const {
#pragma unroll
    for (int i = 0; i < kPlanes; ++i) {
      const float4 v = room[(part * kPlanes + i) * packs + pack];
      out[4 * i] = v.x;
      out[4 * i + 1] = v.y;
      out[4 * i + 2] = v.z;
      out[4 * i + 3] = v.w;
    }
  }
};

// A barrier of the warps of one token.
__device__ inline void sync_token(int token, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(token + 1), "r"(threads) : "memory");
}

// kWide: several warps a token.
template <class T, int kPacks, bool kWide, bool kAdd, bool kNorm>
__global__ void __launch_bounds__(kForwardThreads, forward_blocks(kAdd))
    forward(ModulationForward a) {
  using P = Pack<T>;
  using Row = SharedRow<P::kSize>;
  extern __shared__ float4 row_room[];
  __shared__ float2 shared[2][kForwardThreads / 32];  // of each warp's mean and spread, in turns
  const Chunk chunk = chunk_of(a.rows, a.T, blockIdx.x);
  if (chunk.begin >= chunk.end) return;
  const int packs = static_cast<int>(a.D / P::kSize);
  const Row row{row_room, packs};
  {
    const int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
    if constexpr (kAdd) row.fill(Row::gate, a.gate, chunk.row, thread, threads);
    if constexpr (kNorm) {
      row.fill(Row::shift, a.shift, chunk.row, thread, threads);
      row.fill(Row::scale, a.scale, chunk.row, thread, threads);
    }
    __syncthreads();
  }
  const auto columns_of = [&](int warp) {
    int columns = 0;
#pragma unroll
    for (int k = 0; k < kPacks; ++k)
      columns += max(0, min(packs - warp * 32 - k * static_cast<int>(blockDim.x), 32)) * P::kSize;
    return columns;
  };
  const int warps = kWide ? blockDim.x / 32 : 1, warp = kWide ? threadIdx.x / 32 : 0;
  const float inverse = 1.0f / static_cast<float>(columns_of(warp));
  int turn = 0;
  for (int64_t token = chunk.begin + threadIdx.y; token < chunk.end; token += blockDim.y) {
    const int64_t begin = token * a.D;
    P sum[kPacks];
    float total = 0;
    P delta[kAdd ? kPacks : 1];
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int pack = threadIdx.x + k * blockDim.x;
      if (pack >= packs) continue;
      sum[k] = P::load_streaming(static_cast<const T*>(a.x) + begin + pack * P::kSize);
      if constexpr (kAdd)
        delta[k] = P::load_streaming(static_cast<const T*>(a.delta) + begin + pack * P::kSize);
    }
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int pack = threadIdx.x + k * blockDim.x;
      if (pack >= packs) continue;
      if constexpr (kAdd) {
        float gate[P::kSize];
        row.get(Row::gate, pack, gate);
#pragma unroll
        for (int i = 0; i < P::kSize; ++i)
          sum[k].values[i] =
              from_float<T>(to_float(sum[k].values[i]) + gate[i] * to_float(delta[k].values[i]));
        sum[k].store(static_cast<T*>(a.sum) + begin + pack * P::kSize);
      }
#pragma unroll
      for (int i = 0; i < P::kSize; ++i) total += to_float(sum[k].values[i]);
    }
    if constexpr (!kNorm) continue;
    float mean = warp_sum(total) * inverse, spread = 0;
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      if (threadIdx.x + k * blockDim.x >= packs) continue;
#pragma unroll
      for (int i = 0; i < P::kSize; ++i) {
        const float v = to_float(sum[k].values[i]) - mean;
        spread += v * v;
      }
    }
    spread = warp_sum(spread);
    if constexpr (kWide) {  // the spread about the mean of all: Chan et al. 1983, eq. 2.1
      float2* of_token = shared[turn] + threadIdx.y * warps;
      turn = 1 - turn;
      if (threadIdx.x % 32 == 0) of_token[warp] = {mean, spread};
      sync_token(threadIdx.y, blockDim.x);
      mean = spread = 0;
      for (int w = 0; w < warps; ++w) mean += of_token[w].x * static_cast<float>(columns_of(w));
      mean /= static_cast<float>(a.D);
      for (int w = 0; w < warps; ++w) {
        const float away = of_token[w].x - mean;
        spread += of_token[w].y + away * away * static_cast<float>(columns_of(w));
      }
    }
    const float rstd = rsqrtf(spread / static_cast<float>(a.D) + a.eps);
    if (threadIdx.x == 0) {
      a.mean[token] = mean;
      a.rstd[token] = rstd;
    }
#pragma unroll
    for (int k = 0; k < kPacks; ++k) {
      const int pack = threadIdx.x + k * blockDim.x;
      if (pack >= packs) continue;
      float shift[P::kSize], scale[P::kSize];
      row.get(Row::shift, pack, shift);
      row.get(Row::scale, pack, scale);
      P y;
#pragma unroll
      for (int i = 0; i < P::kSize; ++i)
        y.values[i] =
            from_float<T>((to_float(sum[k].values[i]) - mean) * rstd * (1 + scale[i]) + shift[i]);
      y.store(static_cast<T*>(a.y) + begin + pack * P::kSize);
    }
  }
}

// What backward reads of its tokens, on its way to shared memory by cp.async, into the slots 0 and
// 1 in turns. A thread's packs are for itself alone: no barrier is needed.
template <class T, int kTokens>
class Ahead {
 public:
  using P = Pack<T>;
  enum Tensor { dy, sum, delta, dsum, kTensors };
  static int bytes(int threads) { return 2 * kTokens * kTensors * threads * 16; }

  __device__ Ahead(const ModulationBackward& a, uint4* room, int64_t end)
      : from_{a.dy, a.sum, a.delta, a.dsum}, D_(a.D), end_(end), mine_(room + threadIdx.x) {}

  __device__ void fetch(int64_t first, int slot) {
#pragma unroll
    for (int j = 0; j < kTokens; ++j) {
      if (first + j >= end_) return;
      const int64_t at = (first + j) * D_ + threadIdx.x * P::kSize;
#pragma unroll
      for (int t = 0; t < kTensors; ++t)
        if (from_[t] != nullptr)
          copy_async(place(slot, j, t), static_cast<const T*>(from_[t]) + at);
    }
  }
  __device__ P get(int slot, int j, Tensor t) const {
    return P::load(reinterpret_cast<const T*>(place(slot, j, t)));
  }

 private:
  __device__ uint4* place(int slot, int j, int t) const {
    return mine_ + ((slot * kTokens + j) * kTensors + t) * blockDim.x;
  }

  const void* from_[kTensors];
  int64_t D_, end_;
  uint4* mine_;
};

template <class T, int kTokens, bool kAdd, bool kNorm>
__global__ void __launch_bounds__(most_threads(kTokens)) backward(ModulationBackward a) {
  using P = Pack<T>;
  using A = Ahead<T, kTokens>;
  extern __shared__ uint4 room[];
  __shared__ float shared[2][kMostWarps][2 * kTokens];
  const Chunk chunk = chunk_of(a.rows, a.T, blockIdx.x);
  if (chunk.begin >= chunk.end) return;
  const int column = threadIdx.x * P::kSize;
  const bool inside = column < a.D;
  const float inverse = 1.0f / static_cast<float>(a.D);
  A ahead(a, room, chunk.end);
  if (inside) ahead.fetch(chunk.begin, 0);
  float gate[P::kSize], scale[P::kSize];
  if (inside) {
    if constexpr (kAdd) load_part(gate, a.gate, chunk.row, column);
    if constexpr (kNorm) load_part(scale, a.scale, chunk.row, column);
  }
  float dshift[P::kSize] = {}, dscale[P::kSize] = {}, dgate[P::kSize] = {};
  int turn = 0;
  for (int64_t first = chunk.begin; first < chunk.end; first += kTokens, turn = 1 - turn) {
    float mean[kTokens], rstd[kTokens];
    float sums[2 * kTokens] = {};  // of g and of g n
    if constexpr (kNorm) {
#pragma unroll
      for (int j = 0; j < kTokens; ++j) {
        const bool there = first + j < chunk.end;
        mean[j] = there ? a.mean[first + j] : 0;
        rstd[j] = there ? a.rstd[first + j] : 0;
      }
    }
    wait_for_copies();
    if constexpr (kNorm) {
#pragma unroll
      for (int j = 0; j < kTokens; ++j) {
        if (!inside || first + j >= chunk.end) continue;
        const P dy = ahead.get(turn, j, A::dy), sum = ahead.get(turn, j, A::sum);
#pragma unroll
        for (int i = 0; i < P::kSize; ++i) {
          const float d = to_float(dy.values[i]), g = d * (1 + scale[i]),
                      n = (to_float(sum.values[i]) - mean[j]) * rstd[j];
          dshift[i] += d;
          dscale[i] += d * n;
          sums[2 * j] += g;
          sums[2 * j + 1] += g * n;
        }
      }
    }
    if (inside) ahead.fetch(first + kTokens, 1 - turn);
    if constexpr (kNorm) block_sums(sums, shared[turn]);
#pragma unroll
    for (int j = 0; j < kTokens; ++j) {
      if (!inside || first + j >= chunk.end) continue;
      const int64_t at = (first + j) * a.D + column;
      float d[P::kSize] = {};
      if constexpr (kNorm) {
        const P dy = ahead.get(turn, j, A::dy), sum = ahead.get(turn, j, A::sum);
        const float mean_g = sums[2 * j] * inverse, mean_gn = sums[2 * j + 1] * inverse;
#pragma unroll
        for (int i = 0; i < P::kSize; ++i) {
          const float g = to_float(dy.values[i]) * (1 + scale[i]),
                      n = (to_float(sum.values[i]) - mean[j]) * rstd[j];
          d[i] = rstd[j] * (g - mean_g - n * mean_gn);
        }
      }
      if (a.dsum != nullptr) {
        const P dsum = ahead.get(turn, j, A::dsum);
#pragma unroll
        for (int i = 0; i < P::kSize; ++i) d[i] += to_float(dsum.values[i]);
      }
      P out;
      if constexpr (kNorm) {
#pragma unroll
        for (int i = 0; i < P::kSize; ++i) out.values[i] = from_float<T>(d[i]);
        out.store(static_cast<T*>(a.dx) + at);
      }
      if constexpr (kAdd) {
        const P delta = ahead.get(turn, j, A::delta);
#pragma unroll
        for (int i = 0; i < P::kSize; ++i) {
          dgate[i] += d[i] * to_float(delta.values[i]);
          out.values[i] = from_float<T>(gate[i] * d[i]);
        }
        out.store(static_cast<T*>(a.ddelta) + at);
      }
    }
  }
  if (!inside || chunk.row < 0) return;
  float* const sums[] = {a.dshift, a.dscale, a.dgate};
  const auto write = [&](int of, const float(&x)[P::kSize]) {
    float* to = chunk.whole ? sums[of] + chunk.row * a.D
                            : a.partials + (int64_t{blockIdx.x} * 3 + of) * a.D;
#pragma unroll
    for (int i = 0; i < P::kSize; i += 4)
      *reinterpret_cast<float4*>(to + column + i) = make_float4(x[i], x[i + 1], x[i + 2], x[i + 3]);
  };
  if constexpr (kNorm) {
    write(0, dshift);
    write(1, dscale);
  }
  if constexpr (kAdd) write(2, dgate);
}

// Block (x, row, which of the three sums): a warp adds every eighth chunk of the row, four columns
// a thread, then their sums meet in shared memory. Rows of one chunk are done.
constexpr int kSumWarps = 8;

__global__ void __launch_bounds__(kSumWarps * 32) sum_chunks(ModulationBackward a) {
  __shared__ float4 shared[kSumWarps][32];
  float* const out = blockIdx.z == 0 ? a.dshift : blockIdx.z == 1 ? a.dscale : a.dgate;
  if (out == nullptr) return;
  const int64_t column = (int64_t{blockIdx.x} * 32 + threadIdx.x) * 4;
  const auto add = [](float4& sum, const float4& x) {
    sum.x += x.x;
    sum.y += x.y;
    sum.z += x.z;
    sum.w += x.w;
  };
  for (int64_t row = blockIdx.y; row < a.rows.rows; row += gridDim.y) {
    const int64_t length = row_start(a.rows, row + 1, a.T) - row_start(a.rows, row, a.T),
                  chunks = (length + a.rows.chunk - 1) / a.rows.chunk;
    if (chunks == 1) continue;
    const float* from =
        a.partials + (first_chunk(a.rows, row, a.T) * 3 + blockIdx.z) * a.D + column;
    float4 sum{0, 0, 0, 0};
    if (column < a.D) {
#pragma unroll 4
      for (int64_t c = threadIdx.y; c < chunks; c += kSumWarps)
        add(sum, *reinterpret_cast<const float4*>(from + c * 3 * a.D));
    }
    shared[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && column < a.D) {
#pragma unroll
      for (int w = 1; w < kSumWarps; ++w) add(sum, shared[w][threadIdx.x]);
      *reinterpret_cast<float4*>(out + row * a.D + column) = sum;
    }
    __syncthreads();
  }
}

template <class T>
int threads_of(int64_t D) {
  const auto packs = static_cast<int>(D / Pack<T>::kSize);
  return (packs + 31) / 32 * 32;
}

// Calls launch(adds, norms), both constants.
template <class Launch>
void by_kind(bool adds, bool norms, Launch launch) {
  if (!norms)
    launch(std::true_type(), std::false_type());
  else if (adds)
    launch(std::true_type(), std::true_type());
  else
    launch(std::false_type(), std::true_type());
}

template <class T, int kPacks, bool kWide>
void launch_forward(ModulationForward a, const Shape& s, CUstream_st* stream) {
  a.rows.chunk = s.warps == 1 ? 64 : 32;
  const auto grid = static_cast<unsigned>(modulation_chunks(a.rows, a.T));
  const dim3 block(static_cast<unsigned>(s.warps * 32), static_cast<unsigned>(s.tokens));
  const int shared = SharedRow<Pack<T>::kSize>::bytes(static_cast<int>(a.D) / Pack<T>::kSize);
  by_kind(a.delta != nullptr, a.y != nullptr, [&](auto adds, auto norms) {
    const auto kernel = &forward<T, kPacks, kWide, adds(), norms()>;
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
    kernel<<<grid, block, shared, stream>>>(a);
  });
}

template <class T>
void forward_of(const ModulationForward& a, CUstream_st* stream) {
  const Shape s = shape_of(static_cast<int>(a.D) / Pack<T>::kSize);
  const auto launch = [&](auto packs) {
    if constexpr (packs() <= 2)  // so few are of one warp
      launch_forward<T, packs(), false>(a, s, stream);
    else
      s.warps > 1 ? launch_forward<T, packs(), true>(a, s, stream)
                  : launch_forward<T, packs(), false>(a, s, stream);
  };
  switch (s.packs) {
    case 1:
      return launch(std::integral_constant<int, 1>());
    case 2:
      return launch(std::integral_constant<int, 2>());
    case 3:
      return launch(std::integral_constant<int, 3>());
    case 4:
      return launch(std::integral_constant<int, 4>());
    default:
      return launch(std::integral_constant<int, kMostPacks>());
  }
}

template <class T, int kTokens>
void launch_backward(const ModulationBackward& a, CUstream_st* stream) {
  const auto grid = static_cast<unsigned>(modulation_chunks(a.rows, a.T));
  if (grid > 0) {
    const int threads = threads_of<T>(a.D), shared = Ahead<T, kTokens>::bytes(threads);
    by_kind(a.delta != nullptr, a.dy != nullptr, [&](auto adds, auto norms) {
      const auto kernel = &backward<T, kTokens, adds(), norms()>;
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
      kernel<<<grid, threads, shared, stream>>>(a);
    });
  }
  if (a.rows.starts == nullptr && a.rows.each > 0 && a.rows.each <= a.rows.chunk) return;
  const auto columns = static_cast<unsigned>((a.D / 4 + 31) / 32);
  const auto rows = static_cast<unsigned>(std::min<int64_t>(a.rows.rows, 65535));
  sum_chunks<<<dim3(columns, rows, 3), dim3(32, kSumWarps), 0, stream>>>(a);
}

template <class T>
void backward_of(const ModulationBackward& a, CUstream_st* stream) {
  a.D* static_cast<int64_t>(sizeof(T)) <= kShortBytes ? launch_backward<T, kTokensAtOnce>(a, stream)
                                                      : launch_backward<T, 1>(a, stream);
}

}  // namespace

void modulation_forward_cuda(const ModulationForward& a, CUstream_st* stream) {
  if (a.T == 0) return;
  a.dtype == ModulationDtype::bf16 ? forward_of<__nv_bfloat16>(a, stream)
                                   : forward_of<float>(a, stream);
}

void modulation_backward_cuda(const ModulationBackward& a, CUstream_st* stream) {
  a.dtype == ModulationDtype::bf16 ? backward_of<__nv_bfloat16>(a, stream)
                                   : backward_of<float>(a, stream);
}

}  // namespace lmms::kernels
