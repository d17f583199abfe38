// Plan, after FlashAttention-3 (Shah et al. 2024, arXiv 2407.08608): a block owns 128 keys of one
// head and walks over the tiles of 64 queries that see them, of all query heads that share the key
// head. Scores are made transposed, keys by queries, so that probabilities and their gradients are,
// as they lie in registers, the left operands of the products that sum up dv and dk. Only ds goes
// through shared memory: dq needs all 128 keys, of which each of the two warpgroups has half. dq is
// added from registers to fp32 sums in global memory, while dk is summed; their tiles are laid out
// as registers hold them and attention_finish() puts them in order (through shared memory and the
// bulk engine the kernel takes 8 % longer: shared memory is as busy as the matrix units without).
// Blocks of one head of a segment run next to each other, the longest segments first: the sums that
// they share stay in the L2 cache (else all takes 27 % longer).
#include <cuda_runtime.h>

#include "core/error.h"
#include "core/format.h"
#include "kernels/attention/attention_hopper_cuda.h"
#include "kernels/attention/hopper.cuh"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

using bf16 = __nv_bfloat16;
constexpr int kM = kHopperQueries, kN = kHopperKeys;

// A width: head_dim rounded up to one that the kernels are compiled for; columns beyond are zeros.
template <int kWidth>
constexpr int kTile{kM * kWidth};  // elements of a tile of queries
// Operands lie in shared memory in regions of 64 columns.
template <int kWidth>
constexpr int kRegions = (kWidth + 63) / 64;
// Each group of warps makes half of dq's columns, from a region of keys that begins with them.
template <int kWidth>
constexpr int kKeyRegions = kWidth == 128 ? 2 : kRegions<kWidth> + 1;

// Which segment the tile is of: the last that begins at or before it. Every lane of a full warp
// calls it.
__device__ int segment_of(const int32_t* starts, int segments, int tile) {
  int count = 0;
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int s = lane; s - lane < segments; s += 32)
    count +=
        __popc(__ballot_sync(0xffffffffu, s < segments && hopper_first_tile(starts[s], s) <= tile));
  return count - 1;
}

struct Rows {
  int segment, first, count;  // tokens of a tile: its first within the segment, and how many
};
__device__ Rows rows_of(const int32_t* starts, int segments, int tile) {
  const int s = segment_of(starts, segments, tile);
  const int begin = starts[s], length = starts[s + 1] - begin;
  const int first = (tile - hopper_first_tile(begin, s)) * kM;
  return {s, begin + first, min(kM, length - first)};
}

struct Prepare {
  const int32_t* starts;
  int segments, head_dim;
  int64_t tiles;
  const bf16 *out, *dout;
  int64_t out_row, dout_row;
  const float* lse;
  int64_t lse_token, lse_head, lse_segment;
  float *lse2, *delta, *dq;  // [heads, tiles, kM], the same, [heads, tiles, kM * width]
};

// A tile of a head: lse in powers of two, the sums of out * dout, and zeros to add q's gradient to.
// Rows beyond the segment get an lse that makes their probabilities zero.
template <int kWidth>
__global__ void __launch_bounds__(256) attention_prepare(Prepare x) {
  const int head = static_cast<int>(blockIdx.x), tile = static_cast<int>(blockIdx.y);
  const Rows rows = rows_of(x.starts, x.segments, tile);
  if (rows.count <= 0) return;  // no block reads it
  const int64_t slot = static_cast<int64_t>(head) * x.tiles + tile;
  const int part = static_cast<int>(threadIdx.x) % 16;
#pragma unroll
  for (int r = static_cast<int>(threadIdx.x) / 16; r < kM; r += 16) {
    float sum = 0, lse2 = INFINITY;
    if (r < rows.count) {
      const int64_t token = rows.first + r;
      if (part * 8 < x.head_dim) {
        const int column = head * x.head_dim + part * 8;
        const auto a = Pack<bf16>::load(x.out + token * x.out_row + column);
        const auto b = Pack<bf16>::load(x.dout + token * x.dout_row + column);
#pragma unroll
        for (int i = 0; i < 8; ++i) sum += to_float(a.values[i]) * to_float(b.values[i]);
      }
      const int64_t within = token - x.starts[rows.segment];
      lse2 = kLog2e * x.lse[(x.lse_segment == 0 ? token : within) * x.lse_token +
                            head * x.lse_head + rows.segment * x.lse_segment];
    }
    sum = warp_sum<16>(sum);
    if (part == 0) {
      x.lse2[slot * kM + r] = lse2;
      x.delta[slot * kM + r] = sum;
    }
  }
  auto* dq = reinterpret_cast<float4*>(x.dq + slot * kTile<kWidth>);
#pragma unroll
  for (int i = 0; i < kTile<kWidth> / 4 / 256; ++i)
    dq[i * 256 + threadIdx.x] = make_float4(0, 0, 0, 0);
}

struct Finish {
  const int32_t* starts;
  int segments, head_dim;
  int64_t tiles;
  const float* sums;
  bf16* dq;
  int64_t dq_row;
  float scale;
};

// A tile of q's gradient from the order of the warpgroups' registers to rows of bf16.
template <int kWidth>
__global__ void __launch_bounds__(256) attention_finish(Finish x) {
  __shared__ __align__(16) bf16 shared[kM][kWidth + 8];
  const int head = static_cast<int>(blockIdx.x), tile = static_cast<int>(blockIdx.y);
  const Rows rows = rows_of(x.starts, x.segments, tile);
  if (rows.count <= 0) return;
  const int64_t slot = static_cast<int64_t>(head) * x.tiles + tile;
  const auto* sums = reinterpret_cast<const float4*>(x.sums + slot * kTile<kWidth>);
#pragma unroll
  for (int i = 0; i < kTile<kWidth> / 4 / 256; ++i) {
    const int index = i * 256 + static_cast<int>(threadIdx.x);
    const float4 d = __ldcs(sums + index);
    constexpr int kPieces = kWidth / 16;  // of 8 columns in each half
    const int lane = index % 32, j = index / 32 % kPieces, warp = index / 32 / kPieces % 4,
              half = index / 32 / kPieces / 4;
    const int row = warp * 16 + lane / 4, column = half * (kWidth / 2) + j * 8 + lane % 4 * 2;
    *reinterpret_cast<__nv_bfloat162*>(&shared[row][column]) =
        __floats2bfloat162_rn(d.x * x.scale, d.y * x.scale);
    *reinterpret_cast<__nv_bfloat162*>(&shared[row + 8][column]) =
        __floats2bfloat162_rn(d.z * x.scale, d.w * x.scale);
  }
  __syncthreads();
  const int part = static_cast<int>(threadIdx.x) % 16;
#pragma unroll
  for (int r = static_cast<int>(threadIdx.x) / 16; r < kM; r += 16)
    if (r < rows.count && part * 8 < x.head_dim)
      *reinterpret_cast<uint4*>(x.dq + (rows.first + r) * x.dq_row + head * x.head_dim + part * 8) =
          *reinterpret_cast<const uint4*>(&shared[r][part * 8]);
}

// Shared memory of the main kernel. Rows of a region are 128 bytes, swizzled.
template <int kWidth>
struct Shared {
  bf16 k[kKeyRegions<kWidth>][kN * 64], v[kRegions<kWidth>][kN * 64];
  bf16 q[2][kRegions<kWidth>][kM * 64], dout[2][kRegions<kWidth>][kM * 64];
  bf16 ds[2][kN * kM];  // [keys, queries]
  float lse2[2][kM], delta[2][kM];
  uint64_t k_full, v_full, q_full[2], dout_full[2], empty[2];
};
template <int kWidth>
constexpr int kSharedBytes = sizeof(Shared<kWidth>) + 1024;

struct Maps {
  CUtensorMap q, k, v, dout;  // (column, head, token), boxes of 64 columns of one head
};

struct Backward {
  const HopperBlock* blocks;
  int head_dim, kv_heads, group;
  int64_t tiles;
  const float *lse2, *delta;
  float* dq;
  bf16 *dk, *dv;
  int64_t dk_row, dv_row;
  bool causal;
  int window;
  float scale, scale_log2;
};

// The tiles of queries that see a block of keys.
struct Span {
  int first, count;
};
[[maybe_unused]] __device__ Span span_of(const Backward& x, const HopperBlock& b) {
  const int tiles = (b.length + kM - 1) / kM;
  const int first = x.causal ? b.block * (kN / kM) : 0;
  const int end =
      x.window > 0 ? min(tiles, ((b.block + 1) * kN + x.window - 1 + kM - 1) / kM) : tiles;
  return {first, end - first};
}

template <int kWidth>
__device__ void load_tiles(Shared<kWidth>& s, const Maps& maps, const Backward& x,
                           const HopperBlock& b, int kv_head) {
  using namespace hopper;
  const auto at = [](const auto& p) { return shared_address(&p); };
  const auto load_keys = [&](auto& to, const CUtensorMap& map, uint64_t& barrier) {
    arrive_expecting(at(barrier), sizeof(to));
    for (int i = 0; i < static_cast<int>(sizeof(to) / sizeof(to[0])); ++i)
      load_box(at(to[i]), &map, i < kRegions<kWidth> ? i * 64 : kWidth / 2, kv_head,
               b.begin + b.block * kN, at(barrier));
  };
  const auto load_queries = [&](auto& to, float(&numbers)[kM], const CUtensorMap& map,
                                const float* from, int head, int tile, uint64_t& barrier) {
    arrive_expecting(at(barrier), sizeof(to) + sizeof(numbers));
    for (int i = 0; i < kRegions<kWidth>; ++i)
      load_box(at(to[i]), &map, i * 64, head, b.begin + tile * kM, at(barrier));
    load_bytes(at(numbers), from + (head * x.tiles + b.tile + tile) * kM, sizeof(numbers),
               at(barrier));
  };
  const Span span = span_of(x, b);
  const int steps = span.count * x.group;
  for (int i = 0; i < steps; ++i) {
    const int stage = i % 2, head = kv_head * x.group + i / span.count,
              tile = span.first + i % span.count;
    if (i >= 2) wait(at(s.empty[stage]), (i / 2 - 1) % 2);
    if (i == 0) load_keys(s.k, maps.k, s.k_full);
    load_queries(s.q[stage], s.lse2[stage], maps.q, x.lse2, head, tile, s.q_full[stage]);
    if (i == 0) load_keys(s.v, maps.v, s.v_full);
    load_queries(s.dout[stage], s.delta[stage], maps.dout, x.delta, head, tile, s.dout_full[stage]);
  }
}

// The sums of a warpgroup, 64 rows, through its rows of regions of shared memory to rows of bf16.
template <int kWidth>
__device__ void store_rows(const float (&sum)[kWidth / 2], float scale, bf16* own_rows, bf16* to,
                           int64_t row_stride, int rows, int head_dim, int barrier) {
  constexpr int kRegion = kN * 64;
  const int lane = static_cast<int>(threadIdx.x) % 32,
            warp = static_cast<int>(threadIdx.x) / 32 % 4;
  hopper::sync_threads(barrier, 128);
#pragma unroll
  for (int c = 0; c < kWidth / 16; ++c) {
    const int row = warp * 16 + lane / 8 % 2 * 8 + lane % 8;
    const int chunk = 2 * (c % 4) + lane / 16;
    const float* d = &sum[c * 8];
    hopper::store_matrices(
        shared_address(own_rows + c / 4 * kRegion + row * 64 + (chunk ^ row % 8) * 8),
        bf16_pair(d[0] * scale, d[1] * scale), bf16_pair(d[2] * scale, d[3] * scale),
        bf16_pair(d[4] * scale, d[5] * scale), bf16_pair(d[6] * scale, d[7] * scale));
  }
  hopper::sync_threads(barrier, 128);
  const int part = static_cast<int>(threadIdx.x) % 16;
#pragma unroll
  for (int r = static_cast<int>(threadIdx.x) % 128 / 16; r < 64; r += 8)
    if (r < rows && part * 8 < head_dim)
      *reinterpret_cast<uint4*>(to + r * row_stride + part * 8) = *reinterpret_cast<const uint4*>(
          own_rows + part / 8 * kRegion + r * 64 + (part % 8 ^ r % 8) * 8);
}

// [64 keys, 64 queries] in the registers of a warpgroup. Number 4 j + i of a thread: key 16 warp +
// lane / 4 + 8 (i / 2), query 8 j + 2 (lane % 4) + i % 2.
using Scores = float[32];

// Scores of keys from `key` on that the queries from `query` on do not see, both counted in their
// segment, become -inf. Most tiles have none.
[[maybe_unused]] __device__ void hide_unseen(Scores& p, const Backward& x, int length, int key,
                                             int query, int lane, int warp) {
  const bool cut = (x.causal && query < key + 63) ||
                   (x.window > 0 && query + kM - 1 - key >= x.window) ||
                   (!x.causal && key + 64 > length);
  if (cut) {
#pragma unroll
    for (int j = 0; j < 32; ++j) {
      const int n = key + warp * 16 + lane / 4 + j / 2 % 2 * 8;
      const int m = query + j / 4 * 8 + lane % 4 * 2 + j % 2;
      const bool seen = n < length && (!x.causal || n <= m) && (x.window == 0 || m - x.window < n);
      if (!seen) p[j] = -INFINITY;
    }
  }
}

// Two numbers of a tile's queries: those of a thread's j-th piece.
[[maybe_unused]] __device__ float2 of_queries(const float (&numbers)[kM], int j, int lane) {
  return *reinterpret_cast<const float2*>(&numbers[j * 8 + lane % 4 * 2]);
}

[[maybe_unused]] __device__ void to_probabilities(Scores& p, const float (&lse2)[kM],
                                                  float scale_log2, int lane) {
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    const float2 lse = of_queries(lse2, j, lane);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      p[4 * j + i] = exp2_fast(p[4 * j + i] * scale_log2 - (i % 2 == 0 ? lse.x : lse.y));
  }
}

// ds = p (dp - delta), in dp's place.
[[maybe_unused]] __device__ void to_score_gradients(Scores& dp, const Scores& p,
                                                    const float (&delta)[kM], int lane) {
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    const float2 d = of_queries(delta, j, lane);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      dp[4 * j + i] = p[4 * j + i] * (dp[4 * j + i] - (i % 2 == 0 ? d.x : d.y));
  }
}

template <int kWidth>
__device__ void work(Shared<kWidth>& s, const Backward& x, const HopperBlock& b, int kv_head) {
  using namespace hopper;
  const auto at = [](const auto& p) { return shared_address(&p); };
  const int group = static_cast<int>(threadIdx.x) / 128 - 1;  // of warps: keys 64 * group and on
  const int thread = static_cast<int>(threadIdx.x) % 128, lane = thread % 32, warp = thread / 32;
  const Span span = span_of(x, b);
  const int steps = span.count * x.group;
  const uint32_t own = group * 64 * 128;  // bytes to the group's rows in a region
  constexpr uint32_t kKeyRegion = kN * 128, kQueryRegion = kM * 128;
  const uint64_t k_rows = operand(at(s.k) + own), v_rows = operand(at(s.v) + own);
  const uint64_t k_columns = operand(at(s.k[group * (kKeyRegions<kWidth> - 1)]));
  const uint32_t ds_store = at(s.ds) + own + (warp * 16 + lane % 16) * 128;

  // [64 keys, 64 queries] = rows of keys or values times a tile of queries or their gradients
  const auto scores = [&](float(&sum)[32], uint64_t rows, uint64_t tile) {
    multiply<false, false, false>(sum, rows, tile);
#pragma unroll
    for (int k = 1; k < kWidth / 16; ++k)
      multiply<false, false, true>(sum, advanced(rows, k / 4 * kKeyRegion + k % 4 * 32),
                                   advanced(tile, k / 4 * kQueryRegion + k % 4 * 32));
  };
  // [64 keys, kWidth] += probabilities or their gradients times the tile
  const auto gather = [&](float(&sum)[kWidth / 2], const uint32_t(&a)[4][4], uint64_t tile) {
#pragma unroll
    for (int k = 0; k < kM / 16; ++k) multiply<true>(sum, a[k], advanced(tile, k * 16 * 128));
  };

  float dk[kWidth / 2], dv[kWidth / 2];
#pragma unroll
  for (int i = 0; i < kWidth / 2; ++i) dk[i] = dv[i] = 0;
  pin(dk);
  pin(dv);
  Scores p, dp;
  float dq[kWidth / 4];
  uint32_t p_half[4][4], ds_half[4][4];

  wait(at(s.k_full), 0);
  int head = kv_head * x.group, tile = span.first;
  for (int i = 0; i < steps; ++i) {
    const int stage = i % 2, parity = i / 2 % 2;
    wait(at(s.q_full[stage]), parity);
    begin_products();
    scores(p, k_rows, operand(at(s.q[stage])));
    commit_products();
    if (i == 0) wait(at(s.v_full), 0);
    wait(at(s.dout_full[stage]), parity);
    begin_products();
    scores(dp, v_rows, operand(at(s.dout[stage])));
    commit_products();

    wait_products<1>();  // over, too: dk of the step before, the last to read its tiles
    pin(p);
    if (i > 0 && lane == 0) arrive(at(s.empty[1 - stage]));
    hide_unseen(p, x, b.length, b.block * kN + group * 64, tile * kM, lane, warp);
    to_probabilities(p, s.lse2[stage], x.scale_log2, lane);
#pragma unroll
    for (int j = 0; j < 16; ++j) p_half[j / 4][j % 4] = bf16_pair(p[2 * j], p[2 * j + 1]);
    begin_products();
    gather(dv, p_half, operand(at(s.dout[stage]), kQueryRegion));
    commit_products();

    wait_products<1>();
    pin(dp);
    to_score_gradients(dp, p, s.delta[stage], lane);
#pragma unroll
    for (int j = 0; j < 16; ++j) ds_half[j / 4][j % 4] = bf16_pair(dp[2 * j], dp[2 * j + 1]);
#pragma unroll
    for (int c = 0; c < 4; ++c)
      store_matrices(ds_store + stage * (kN * kM * 2) + ((2 * c + lane / 16) ^ lane % 8) * 16,
                     ds_half[c][0], ds_half[c][1], ds_half[c][2], ds_half[c][3]);
    fence_async_proxy();
    sync_threads(1, 256);

    // [64 queries, half of the columns] = gradients of scores times keys
    begin_products();
    const uint64_t ds_columns = operand(at(s.ds[stage]));
    multiply<true, true, false>(dq, ds_columns, k_columns);
#pragma unroll
    for (int k = 1; k < kN / 16; ++k)
      multiply<true, true, true>(dq, advanced(ds_columns, k * 16 * 128),
                                 advanced(k_columns, k * 16 * 128));
    commit_products();
    gather(dk, ds_half, operand(at(s.q[stage]), kQueryRegion));
    commit_products();
    wait_products<1>();
    pin(dq);
    float* to = x.dq + (head * x.tiles + b.tile + tile) * kTile<kWidth> +
                (group * 4 + warp) * (kTile<kWidth> / 8);
#pragma unroll
    for (int j = 0; j < kWidth / 16; ++j)
      add_four(to + (j * 32 + lane) * 4, dq[4 * j], dq[4 * j + 1], dq[4 * j + 2], dq[4 * j + 3]);
    if (++tile == span.first + span.count) tile = span.first, ++head;
  }
  wait_products<0>();
  pin(dk);
  pin(dv);
  const int first = b.block * kN + group * 64;
  const int64_t token = b.begin + first;
  const int rows = b.length - first;
  bf16* own_rows = s.v[0] + group * 64 * 64;
  const int column = kv_head * x.head_dim;
  store_rows<kWidth>(dv, 1.0f, own_rows, x.dv + token * x.dv_row + column, x.dv_row, rows,
                     x.head_dim, 2 + group);
  store_rows<kWidth>(dk, x.scale, own_rows, x.dk + token * x.dk_row + column, x.dk_row, rows,
                     x.head_dim, 2 + group);
}

// A block of keys of one head: a warp that brings tiles, and two groups of four warps with 64 keys
// each.
template <int kWidth>
__global__ void __launch_bounds__(384, 1)
    attention_backward(const __grid_constant__ Maps maps, const __grid_constant__ Backward x) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using namespace hopper;
  extern __shared__ uint8_t raw[];
  auto& s = *reinterpret_cast<Shared<kWidth>*>(raw + (1024 - shared_address(raw) % 1024) % 1024);
  const int listed = static_cast<int>(blockIdx.x) / x.kv_heads;
  HopperBlock b = x.blocks[listed];
  if (b.length == 0) return;
  // The blocks of a segment follow each other: those of its first head, of its second ...
  const int count = (b.length + kN - 1) / kN;
  const int local = static_cast<int>(blockIdx.x) - (listed - b.block) * x.kv_heads;
  const int kv_head = local / count;
  b.block = local % count;
  if (threadIdx.x == 0) {
    const auto at = [](const auto& p) { return shared_address(&p); };
    init_barrier(at(s.k_full), 1);
    init_barrier(at(s.v_full), 1);
    for (int stage = 0; stage < 2; ++stage) {
      init_barrier(at(s.q_full[stage]), 1);
      init_barrier(at(s.dout_full[stage]), 1);
      init_barrier(at(s.empty[stage]), 8);
    }
    publish_barriers();
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    give_registers<24>();
    if (threadIdx.x == 0) load_tiles<kWidth>(s, maps, x, b, kv_head);
  } else {
    take_registers<240>();
    work<kWidth>(s, x, b, kv_head);
  }
#else
  __trap();  // compiled for another GPU than the one that runs it
#endif
}

using Encode = decltype(&cuTensorMapEncodeTiled);
Encode encode() {
  static const Encode found = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult result;
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                         cudaEnableDefault, &result) != cudaSuccess ||
        function == nullptr)
      throw Error("", "the GPU's driver has no cuTensorMapEncodeTiled",
                  "update the driver; CUDA 13 needs 580 or later", Exit::failed);
    return reinterpret_cast<Encode>(function);
  }();
  return found;
}

CUtensorMap map_of(const AttentionOperand<const void>& x, const HopperBackward& of, int64_t heads,
                   uint32_t rows_of_box) {
  CUtensorMap map;
  const auto number = [](int64_t n) { return static_cast<cuuint64_t>(n); };
  const cuuint64_t sizes[] = {number(of.head_dim), number(heads), number(of.tokens)};
  const cuuint64_t strides[] = {number(of.head_dim) * sizeof(bf16), number(x.row) * sizeof(bf16)};
  const cuuint32_t box[] = {64, 1, rows_of_box}, every[] = {1, 1, 1};
  const CUresult made =
      encode()(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<void*>(x.data), sizes, strides,
               box, every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
               CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (made != CUDA_SUCCESS)
    throw Error("",
                fmt::format("attention backward: cuTensorMapEncodeTiled failed ({})",
                            static_cast<int>(made)),
                "report it with `lmms doctor`", Exit::failed);
  return map;
}

template <int kWidth>
void launch(const HopperBackward& x, CUstream_st* stream) {
  cudaFuncSetAttribute(attention_backward<kWidth>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       kSharedBytes<kWidth>);
  const auto read = [](const auto& x) { return static_cast<const bf16*>(x.data); };
  const auto written = [](const auto& x) { return static_cast<bf16*>(x.data); };
  auto* dq = static_cast<float*>(x.workspace);
  float* lse2 = dq + x.heads * x.tiles * kTile<kWidth>;
  float* delta = lse2 + x.heads * x.tiles * kM;
  const auto segments = static_cast<int>(x.segments), head_dim = static_cast<int>(x.head_dim),
             kv_heads = static_cast<int>(x.kv_heads);
  const dim3 tiles(static_cast<unsigned>(x.heads), static_cast<unsigned>(x.tiles));
  attention_prepare<kWidth><<<tiles, 256, 0, stream>>>(
      {x.starts, segments, head_dim, x.tiles, read(x.out), read(x.dout), x.out.row, x.dout.row,
       x.lse, x.lse_token, x.lse_head, x.lse_segment, lse2, delta, dq});
  const Maps maps{map_of(x.q, x, x.heads, kM), map_of(x.k, x, x.kv_heads, kN),
                  map_of(x.v, x, x.kv_heads, kN), map_of(x.dout, x, x.heads, kM)};
  const auto blocks = static_cast<unsigned>(x.kv_heads * x.block_count);
  attention_backward<kWidth><<<blocks, 384, kSharedBytes<kWidth>, stream>>>(
      maps, {x.blocks, head_dim, kv_heads, static_cast<int>(x.heads) / kv_heads, x.tiles, lse2,
             delta, dq, written(x.dk), written(x.dv), x.dk.row, x.dv.row, x.causal,
             static_cast<int>(x.window), x.scale, x.scale * kLog2e});
  attention_finish<kWidth><<<tiles, 256, 0, stream>>>(
      {x.starts, segments, head_dim, x.tiles, dq, written(x.dq), x.dq.row, x.scale});
}

}  // namespace

void attention_backward_hopper(const HopperBackward& x, CUstream_st* stream) {
  if (hopper_width(x.head_dim) == 80) {
    launch<80>(x, stream);
  } else {
    launch<128>(x, stream);
  }
}

}  // namespace lmms::kernels
