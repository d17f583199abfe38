// Bound by memory. A head belongs to D / 16 threads (bf16): each takes eight numbers of the first
// half and the eight that turn with them in the second, so that the rotation needs no exchange; the
// norm is a sum over neighbouring threads of a warp. The tables are read by all heads of a token,
// from the L1 cache.
//
// Backward, with c and s the tables, u = the normalised and weighted head, n = x rstd:
// du = [dy1 c + dy2 s, dy2 c - dy1 s] (the inverse rotation), dw = sum du n, g = du w,
// dx = rstd (g - n mean_d(g n)). A block takes heads of queries or of keys alone, and keeps the
// sums for its weight in registers; partial_sums/ adds the blocks' partial rows in order.
#include "kernels/partial_sums/partial_row.cuh"
#include "kernels/qk_norm_rope/qk_norm_rope_cuda.h"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

constexpr int kThreads = 256;

// Blocks of a multiprocessor, so few that their registers do not spill: a kernel that keeps sums
// for a weight takes up to 128, the others 64.
constexpr int kSummingBlocks = 2, kOtherBlocks = 4;

__device__ inline float group_sum(float x, int width) {
  for (int offset = width / 2; offset > 0; offset /= 2)
    x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

template <class P>
__device__ inline void load_table(float (&out)[P::kSize], const float* p) {
#pragma unroll
  for (int i = 0; i < P::kSize; i += 4)
    *reinterpret_cast<float4*>(out + i) = __ldg(reinterpret_cast<const float4*>(p + i));
}

template <class T, bool kBackward, bool kNorm>
__global__ void __launch_bounds__(kThreads, kBackward&& kNorm ? kSummingBlocks : kOtherBlocks)
    qk_norm_rope(QkNormRopeArgs a, int q_blocks) {
  using P = Pack<T>;
  extern __shared__ float shared[];  // [slots, D] in backward with a norm
  const bool queries = static_cast<int>(blockIdx.x) < q_blocks;
  const int block = queries ? blockIdx.x : blockIdx.x - q_blocks,
            blocks = queries ? q_blocks : gridDim.x - q_blocks;
  const int heads = static_cast<int>(queries ? a.q_heads : a.k_heads), D = static_cast<int>(a.D),
            half = D / 2, width = half / P::kSize;
  const int slots = kThreads / width, slot = threadIdx.x / width,
            lane = (threadIdx.x - slot * width) * P::kSize;  // its numbers of the first half
  const int64_t column = queries ? 0 : a.q_heads * a.D;
  const int rows = static_cast<int>(a.T) * heads;
  P w1, w2;
  float dw1[P::kSize] = {}, dw2[P::kSize] = {};
  if constexpr (kNorm) {
    const T* w = static_cast<const T*>(queries ? a.q_weight : a.k_weight);
    w1 = P::load(w + lane);
    w2 = P::load(w + lane + half);
  }
  for (int first = block * slots; first < rows; first += blocks * slots) {
    const int row = first + slot;
    const bool inside = slot < slots && row < rows;
    const int64_t t = inside ? row / heads : 0;
    const int64_t at = column + (inside ? row - t * heads : 0) * int64_t{D} + lane;
    P x1, x2, d1, d2;
    float c[P::kSize], s[P::kSize];
    if (inside) {
      if constexpr (kNorm || !kBackward) {
        x1 = P::load(static_cast<const T*>(a.x) + t * a.x_stride + at);
        x2 = P::load(static_cast<const T*>(a.x) + t * a.x_stride + at + half);
      }
      if constexpr (kBackward) {
        d1 = P::load(static_cast<const T*>(a.dy) + t * a.dy_stride + at);
        d2 = P::load(static_cast<const T*>(a.dy) + t * a.dy_stride + at + half);
      }
      load_table<P>(c, a.cos + t * half + lane);
      load_table<P>(s, a.sin + t * half + lane);
    }
    float rstd = 1;
    if constexpr (kNorm) {
      float sum = 0;
      if (inside) {
#pragma unroll
        for (int i = 0; i < P::kSize; ++i) {
          const float p = to_float(x1.values[i]), q = to_float(x2.values[i]);
          sum += p * p + q * q;
        }
      }
      rstd = rsqrtf(group_sum(sum, width) / static_cast<float>(D) + a.eps);
    }
    P y1, y2;
    if constexpr (!kBackward) {
      if (!inside) continue;
#pragma unroll
      for (int i = 0; i < P::kSize; ++i) {
        float p = to_float(x1.values[i]), q = to_float(x2.values[i]);
        if constexpr (kNorm) {
          p *= rstd * to_float(w1.values[i]);
          q *= rstd * to_float(w2.values[i]);
        }
        y1.values[i] = from_float<T>(p * c[i] - q * s[i]);
        y2.values[i] = from_float<T>(q * c[i] + p * s[i]);
      }
    } else {
      float dot = 0;
      if constexpr (kNorm) {
        if (inside) {
#pragma unroll
          for (int i = 0; i < P::kSize; ++i) {
            const float e1 = to_float(d1.values[i]), e2 = to_float(d2.values[i]);
            const float u1 = e1 * c[i] + e2 * s[i], u2 = e2 * c[i] - e1 * s[i];
            const float n1 = to_float(x1.values[i]) * rstd, n2 = to_float(x2.values[i]) * rstd;
            dw1[i] += u1 * n1;
            dw2[i] += u2 * n2;
            dot += u1 * to_float(w1.values[i]) * n1 + u2 * to_float(w2.values[i]) * n2;
          }
        }
        dot = group_sum(dot, width) / static_cast<float>(D);
      }
      if (!inside) continue;
#pragma unroll
      for (int i = 0; i < P::kSize; ++i) {
        const float e1 = to_float(d1.values[i]), e2 = to_float(d2.values[i]);
        float u1 = e1 * c[i] + e2 * s[i], u2 = e2 * c[i] - e1 * s[i];
        if constexpr (kNorm) {
          u1 = rstd * (u1 * to_float(w1.values[i]) - to_float(x1.values[i]) * rstd * dot);
          u2 = rstd * (u2 * to_float(w2.values[i]) - to_float(x2.values[i]) * rstd * dot);
        }
        y1.values[i] = from_float<T>(u1);
        y2.values[i] = from_float<T>(u2);
      }
    }
    y1.store(static_cast<T*>(a.out) + t * a.out_stride + at);
    y2.store(static_cast<T*>(a.out) + t * a.out_stride + at + half);
  }
  if constexpr (kBackward && kNorm) {
#pragma unroll
    for (int i = 0; i < P::kSize; ++i) {
      shared[slot * D + lane + i] = dw1[i];
      shared[slot * D + lane + half + i] = dw2[i];
    }
    __syncthreads();
    write_partial_row(a.partials + int64_t{blockIdx.x} * D, shared, slots, D, D, threadIdx.x,
                      kThreads);
  }
}

template <class T>
void launch(const QkNormRopeArgs& given, CUstream_st* stream) {
  QkNormRopeArgs a = given;
  const bool norm = a.q_weight != nullptr, backward = a.dy != nullptr;
  if (!norm) {  // all heads are alike
    a.q_heads += a.k_heads;
    a.k_heads = 0;
  }
  QkNormPartials blocks = qk_norm_partials(a.q_heads, a.k_heads);
  if (!norm || !backward) {  // no partial sums: eight rounds a block
    const int64_t rows = 8 * kThreads / (a.D / 2 / Pack<T>::kSize);
    blocks = {(a.T * a.q_heads + rows - 1) / rows, (a.T * a.k_heads + rows - 1) / rows};
  }
  const auto grid = static_cast<unsigned>(blocks.q + blocks.k);
  const auto q = static_cast<int>(blocks.q);
  const size_t shared = norm && backward ? kThreads * 2 * Pack<T>::kSize * sizeof(float) : 0;
  if (backward) {
    norm ? qk_norm_rope<T, true, true><<<grid, kThreads, shared, stream>>>(a, q)
         : qk_norm_rope<T, true, false><<<grid, kThreads, 0, stream>>>(a, q);
  } else {
    norm ? qk_norm_rope<T, false, true><<<grid, kThreads, 0, stream>>>(a, q)
         : qk_norm_rope<T, false, false><<<grid, kThreads, 0, stream>>>(a, q);
  }
}

}  // namespace

QkNormPartials qk_norm_partials(int64_t q_heads, int64_t k_heads) {
  const int64_t all = int64_t{kSummingBlocks} * multiprocessors();
  if (k_heads == 0) return {all, 0};
  const int64_t k = all * k_heads / (q_heads + k_heads);
  return {all - (k > 0 ? k : 1), k > 0 ? k : 1};
}

void qk_norm_rope_cuda(const QkNormRopeArgs& a, CUstream_st* stream) {
  if (a.T == 0 && a.partials == nullptr) return;  // sums over no rows are zeros
  if (a.bf16) {
    launch<__nv_bfloat16>(a, stream);
  } else {
    launch<float>(a, stream);
  }
}

}  // namespace lmms::kernels
