// Plan: four warps, each with 16 of the 64 queries (in backward later with 16 of the keys),
// products by mma.sync m16n8k16 over operands that lie in shared memory in padded rows. Scores of
// all 64 keys are in registers at once, so that the softmax is a plain one. Bound by memory: every
// operand is read once, every result written once, in 16-byte pieces. Columns beyond head_dim and
// rows beyond the segment are zeros.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/attention/attention_short_cuda.h"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

using bf16 = __nv_bfloat16;
constexpr int kRows = kShortSegment, kThreads = 128;

// Rows of shared memory that are an odd number of 16 bytes long: eight of them meet no bank twice.
template <int kColumns>
struct Tile {
  static constexpr int kStride = kColumns + 8;
  bf16 numbers[kRows][kStride];
};
using Scores = Tile<kRows>;

// Four 8x8 matrices, each transposed or not, from rows of shared memory: lane i has the address of
// row i % 8 of matrix i / 8.
template <bool kTransposed>
__device__ void load_matrices(uint32_t (&x)[4], const bf16* row) {
  if constexpr (kTransposed) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(shared_address(row)));
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(shared_address(row)));
  }
}
// The 16x16 block of `x` at (row, column) as left operand, or, transposed, x's block at (column,
// row).
template <bool kTransposed, int kColumns>
__device__ void load_left(uint32_t (&a)[4], const Tile<kColumns>& x, int row, int column) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  load_matrices<kTransposed>(
      a, kTransposed ? &x.numbers[column + lane / 16 * 8 + lane % 8][row + lane / 8 % 2 * 8]
                     : &x.numbers[row + lane % 16][column + lane / 16 * 8]);
}
// Right operand of two products, 16 of K by 2 x 8 columns, from rows of x that are rows of K
// (kTransposed: columns of K, x's block at (column, k)).
template <bool kTransposed, int kColumns>
__device__ void load_right(uint32_t (&b)[4], const Tile<kColumns>& x, int k, int column) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  load_matrices<!kTransposed>(
      b, kTransposed ? &x.numbers[column + lane / 16 * 8 + lane % 8][k + lane / 8 % 2 * 8]
                     : &x.numbers[k + lane / 8 % 2 * 8 + lane % 8][column + lane / 16 * 8]);
}
__device__ void multiply(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// 16 rows of sums, 8 columns a piece; thread: rows lane / 4 and that + 8, columns lane % 4 * 2 and
// the next of each piece.
template <int kColumns>
using Sums = float[kColumns / 8][4];

// Sums as left operand: columns 16 k to 16 k + 15.
template <int kPieces>
__device__ void as_left(uint32_t (&a)[4], const float (&x)[kPieces][4], int k) {
  a[0] = bf16_pair(x[2 * k][0], x[2 * k][1]);
  a[1] = bf16_pair(x[2 * k][2], x[2 * k][3]);
  a[2] = bf16_pair(x[2 * k + 1][0], x[2 * k + 1][1]);
  a[3] = bf16_pair(x[2 * k + 1][2], x[2 * k + 1][3]);
}

// sum [16, 64] = rows row .. row + 15 of a, times b transposed.
template <int kColumns>
__device__ void rows_by_rows(Sums<kRows>& sum, const Tile<kColumns>& a, int row,
                             const Tile<kColumns>& b) {
#pragma unroll
  for (auto& piece : sum)
#pragma unroll
    for (float& x : piece) x = 0;
#pragma unroll
  for (int k = 0; k < kColumns; k += 16) {
    uint32_t left[4];
    load_left<false>(left, a, row, k);
#pragma unroll
    for (int n = 0; n < kRows / 16; ++n) {
      uint32_t right[4];
      load_right<true>(right, b, k, 16 * n);
      multiply(sum[2 * n], left, right[0], right[1]);
      multiply(sum[2 * n + 1], left, right[2], right[3]);
    }
  }
}
// sum [16, kColumns] += left [16, 64] b, left of 16 columns by `left_of`.
template <int kColumns, class Left>
__device__ void add_product(Sums<kColumns>& sum, const Left& left_of, const Tile<kColumns>& b) {
#pragma unroll
  for (int k = 0; k < kRows / 16; ++k) {
    uint32_t left[4];
    left_of(left, k);
#pragma unroll
    for (int n = 0; n < kColumns / 16; ++n) {
      uint32_t right[4];
      load_right<false>(right, b, 16 * k, 16 * n);
      multiply(sum[2 * n], left, right[0], right[1]);
      multiply(sum[2 * n + 1], left, right[2], right[3]);
    }
  }
}

struct Segment {
  int64_t begin;
  int length;
  int head;
};
// What this block works on: the heads of a segment follow each other.
__device__ Segment segment_of(const ShortAttention& x) {
  const auto heads = static_cast<unsigned>(x.heads), s = blockIdx.x / heads;
  return {x.starts[s], x.starts[s + 1] - x.starts[s], static_cast<int>(blockIdx.x % heads)};
}
__device__ bool sees(const ShortAttention& x, int length, int query, int key) {
  return query < length && key < length && (!x.causal || key <= query) &&
         (x.window == 0 || query - x.window < key);
}

// A segment's rows of one head, all threads.
template <int kColumns>
__device__ void load_rows(Tile<kColumns>& to, const AttentionOperand<const void>& from,
                          const Segment& s, int head_dim) {
  constexpr int kPieces = kColumns / 8;
  const auto* base =
      static_cast<const bf16*>(from.data) + s.begin * from.row + int64_t{s.head} * head_dim;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kPieces; i += kThreads) {
    const int row = i / kPieces, column = i % kPieces * 8;
    const bool there = row < s.length && column < head_dim;
    copy_async_or_zeros(&to.numbers[row][column], there ? base + row * from.row + column : base,
                        there);
  }
}
// The warp's 16 rows of sums, times `scale`, through its rows of `through` to global memory.
template <int kColumns>
__device__ void store_rows(const Sums<kColumns>& sums, float scale_of_low, float scale_of_high,
                           Tile<kColumns>& through, const AttentionOperand<void>& to,
                           const Segment& s, int head_dim) {
  constexpr int kPieces = kColumns / 8;
  const int lane = static_cast<int>(threadIdx.x) % 32,
            first = static_cast<int>(threadIdx.x) / 32 * 16;
  const int row = first + lane / 4;
#pragma unroll
  for (int n = 0; n < kPieces; ++n) {
    const int column = n * 8 + lane % 4 * 2;
    *reinterpret_cast<uint32_t*>(&through.numbers[row][column]) =
        bf16_pair(sums[n][0] * scale_of_low, sums[n][1] * scale_of_low);
    *reinterpret_cast<uint32_t*>(&through.numbers[row + 8][column]) =
        bf16_pair(sums[n][2] * scale_of_high, sums[n][3] * scale_of_high);
  }
  __syncwarp();
  auto* base = static_cast<bf16*>(to.data) + s.begin * to.row + int64_t{s.head} * head_dim;
  for (int i = lane; i < 16 * kPieces; i += 32) {
    const int r = first + i / kPieces, column = i % kPieces * 8;
    if (r < s.length && column < head_dim)
      *reinterpret_cast<uint4*>(base + r * to.row + column) =
          *reinterpret_cast<const uint4*>(&through.numbers[r][column]);
  }
}

template <int kColumns>
struct ForwardTiles {
  Tile<kColumns> q, k, v;
};

template <int kColumns>
__global__ void __launch_bounds__(kThreads) short_attention(const ShortForward x) {
  extern __shared__ __align__(16) uint8_t raw[];
  auto& t = *reinterpret_cast<ForwardTiles<kColumns>*>(raw);
  const ShortAttention& what = x.what;
  const Segment s = segment_of(what);
  if (s.length == 0) return;
  const int head_dim = static_cast<int>(what.head_dim);
  load_rows(t.q, x.q, s, head_dim);
  load_rows(t.k, x.k, s, head_dim);
  load_rows(t.v, x.v, s, head_dim);
  wait_for_copies();
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % 32,
            first = static_cast<int>(threadIdx.x) / 32 * 16;
  if (first >= s.length) return;
  Sums<kRows> p;
  rows_by_rows(p, t.q, first, t.k);
  const float scale = what.scale * kLog2e;
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
#pragma unroll
  for (int n = 0; n < kRows / 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int query = first + lane / 4 + i / 2 * 8, key = n * 8 + lane % 4 * 2 + i % 2;
      if (!sees(what, s.length, query, key)) p[n][i] = -INFINITY;
      largest[i / 2] = fmaxf(largest[i / 2], p[n][i]);
    }
#pragma unroll
  for (float& m : largest) {
    m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, 1));
    m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, 2));
    m = m == -INFINITY ? 0 : m * scale;  // a row beyond the segment
  }
#pragma unroll
  for (auto& piece : p)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      piece[i] = exp2f(piece[i] * scale - largest[i / 2]);
      sum[i / 2] += piece[i];
    }
  sum[0] = warp_sum<4>(sum[0]);
  sum[1] = warp_sum<4>(sum[1]);
  Sums<kColumns> out = {};
  add_product<kColumns>(
      out, [&](uint32_t(&left)[4], int k) { as_left(left, p, k); }, t.v);
  __syncwarp();
  store_rows<kColumns>(out, 1 / sum[0], 1 / sum[1], t.q, x.out, s, head_dim);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + lane / 4 + half * 8;
    if (lane % 4 == 0 && row < s.length)
      x.lse[(s.begin + row) * what.heads + s.head] = largest[half] / kLog2e + logf(sum[half]);
  }
}

template <int kColumns>
struct BackwardTiles {
  Tile<kColumns> q, k, v, dout;
  Scores p, ds;
  float delta[kRows];
};

// delta of a row by two neighbouring threads.
template <int kColumns>
__device__ void sum_products(BackwardTiles<kColumns>& t, const AttentionOperand<const void>& out,
                             const Segment& s, int head_dim) {
  const int row = static_cast<int>(threadIdx.x) / 2;
  float sum = 0;
  if (row < s.length) {
    const auto* from =
        static_cast<const bf16*>(out.data) + (s.begin + row) * out.row + int64_t{s.head} * head_dim;
    for (int column = static_cast<int>(threadIdx.x) % 2 * 8; column < head_dim; column += 16) {
      const auto a = Pack<bf16>::load(from + column);
      const auto b = Pack<bf16>::load(&t.dout.numbers[row][column]);
#pragma unroll
      for (int i = 0; i < 8; ++i) sum += to_float(a.values[i]) * to_float(b.values[i]);
    }
  }
  sum = warp_sum<2>(sum);
  if (threadIdx.x % 2 == 0) t.delta[row] = sum;
}

template <int kColumns>
__global__ void __launch_bounds__(kThreads, kColumns > 80 ? 2 : 3)
    short_attention_backward(const ShortBackward x) {
  extern __shared__ __align__(16) uint8_t raw[];
  auto& t = *reinterpret_cast<BackwardTiles<kColumns>*>(raw);
  const ShortAttention& what = x.what;
  const Segment s = segment_of(what);
  if (s.length == 0) return;
  const int head_dim = static_cast<int>(what.head_dim);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int first = static_cast<int>(threadIdx.x) / 32 * 16;
  load_rows(t.q, x.q, s, head_dim);
  load_rows(t.k, x.k, s, head_dim);
  load_rows(t.dout, x.dout, s, head_dim);
  load_rows(t.v, x.v, s, head_dim);
  wait_for_copies();
  __syncthreads();
  sum_products(t, x.out, s, head_dim);
  {
    Sums<kRows> p, ds;
    rows_by_rows(p, t.q, first, t.k);
    rows_by_rows(ds, t.dout, first, t.v);
    __syncthreads();  // delta
    const float scale = what.scale * kLog2e;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int query = first + lane / 4 + half * 8;
      const float delta = t.delta[query];
      const float lse =
          query < s.length ? x.lse[(s.begin + query) * what.heads + s.head] * kLog2e : 0;
#pragma unroll
      for (int n = 0; n < kRows / 8; ++n) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          const int key = n * 8 + lane % 4 * 2 + i % 2;
          p[n][i] = sees(what, s.length, query, key) ? exp2f(p[n][i] * scale - lse) : 0;
          ds[n][i] = p[n][i] * (ds[n][i] - delta);
        }
        const int column = n * 8 + lane % 4 * 2;
        *reinterpret_cast<uint32_t*>(&t.p.numbers[query][column]) =
            bf16_pair(p[n][2 * half], p[n][2 * half + 1]);
        *reinterpret_cast<uint32_t*>(&t.ds.numbers[query][column]) =
            bf16_pair(ds[n][2 * half], ds[n][2 * half + 1]);
      }
    }
  }
  __syncthreads();
  {
    Sums<kColumns> dv = {};
    add_product<kColumns>(
        dv, [&](uint32_t(&left)[4], int k) { load_left<true>(left, t.p, first, 16 * k); }, t.dout);
    store_rows<kColumns>(dv, 1, 1, t.v, x.dv, s, head_dim);
  }
  Sums<kColumns> dq = {}, dk = {};
  add_product<kColumns>(
      dq, [&](uint32_t(&left)[4], int k) { load_left<false>(left, t.ds, first, 16 * k); }, t.k);
  add_product<kColumns>(
      dk, [&](uint32_t(&left)[4], int k) { load_left<true>(left, t.ds, first, 16 * k); }, t.q);
  __syncthreads();  // k and q have been read by all
  store_rows<kColumns>(dq, what.scale, what.scale, t.q, x.dq, s, head_dim);
  store_rows<kColumns>(dk, what.scale, what.scale, t.k, x.dk, s, head_dim);
}

template <class Tiles, class Kernel, class Args>
void launch(Kernel kernel, const Args& x, CUstream_st* stream) {
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Tiles));
  const auto grid = static_cast<unsigned>(x.what.heads * x.what.segments);
  kernel<<<grid, kThreads, sizeof(Tiles), stream>>>(x);
}

}  // namespace

void attention_forward_short(const ShortForward& x, CUstream_st* stream) {
  const int64_t D = x.what.head_dim;
  if (D <= 64) {
    launch<ForwardTiles<64>>(short_attention<64>, x, stream);
  } else if (D <= 80) {
    launch<ForwardTiles<80>>(short_attention<80>, x, stream);
  } else {
    launch<ForwardTiles<128>>(short_attention<128>, x, stream);
  }
}

void attention_backward_short(const ShortBackward& x, CUstream_st* stream) {
  const int64_t D = x.what.head_dim;
  if (D <= 64) {
    launch<BackwardTiles<64>>(short_attention_backward<64>, x, stream);
  } else if (D <= 80) {
    launch<BackwardTiles<80>>(short_attention_backward<80>, x, stream);
  } else {
    launch<BackwardTiles<128>>(short_attention_backward<128>, x, stream);
  }
}

}  // namespace lmms::kernels
