// Bound by memory: each row is read and written once, 16 bytes a thread, four of them in flight.
//
// Gathering: a warp a row. Spreading: a warp takes kRows neighbouring rows of the output and has to
// know which of them are among `rows`. As these ascend, one search by all lanes (32 probes a round:
// three rounds among 32k rows) finds where the first of them would stand, and one load of the next
// kRows numbers tells for all of them; so the output is written in one pass, without zeroing it
// beforehand and without a table of the inverse.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/scatter_rows/move_rows.h"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kRows = 4;     // of the output, one warp
constexpr int kFlights = 4;  // 16-byte accesses of a thread before it uses the first
constexpr unsigned kAll = 0xffffffffu;

template <class F>
__device__ void along_row(int pieces, const F& f) {
  const int lane = threadIdx.x % 32;
  for (int i = lane; i < pieces; i += 32 * kFlights) f(i);
}

__global__ void __launch_bounds__(kThreads) gather(GatherRowsArgs a) {
  const int64_t i = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (i >= a.M) return;
  const int pieces = static_cast<int>(a.row_bytes / 16);
  const auto* from = static_cast<const uint4*>(a.x) + a.rows[i] * pieces;
  auto* to = static_cast<uint4*>(a.out) + i * pieces;
  along_row(pieces, [&](int at) {
    uint4 held[kFlights];
#pragma unroll
    for (int k = 0; k < kFlights; ++k)
      if (at + 32 * k < pieces) held[k] = from[at + 32 * k];
#pragma unroll
    for (int k = 0; k < kFlights; ++k)
      if (at + 32 * k < pieces) to[at + 32 * k] = held[k];
  });
}

// The number of rows below t, by all lanes of a warp.
__device__ int64_t rows_below(const int64_t* rows, int64_t M, int64_t t) {
  const int lane = threadIdx.x % 32;
  int64_t low = 0, high = M;  // it lies in [low, high]
  while (high > low) {
    const int64_t step = (high - low + 31) / 32;
    const int64_t probe = low + lane * step;
    const int below = __popc(__ballot_sync(kAll, probe < high && rows[probe] < t));
    if (below == 0) return low;
    low += (below - 1) * step + 1;
    high = min(high, low + step - 1);
  }
  return low;
}

template <class T>
__device__ uint4 sum(const uint4& a, const uint4& b) {
  Pack<T> x, y;
  *reinterpret_cast<uint4*>(&x) = a;
  *reinterpret_cast<uint4*>(&y) = b;
#pragma unroll
  for (int i = 0; i < Pack<T>::kSize; ++i)
    x.values[i] = from_float<T>(to_float(x.values[i]) + to_float(y.values[i]));
  return *reinterpret_cast<const uint4*>(&x);
}

template <Meeting meeting>
__global__ void __launch_bounds__(kThreads) spread(SpreadRowsArgs a) {
  const int lane = threadIdx.x % 32;
  const int64_t first = (int64_t{blockIdx.x} * kWarps + threadIdx.x / 32) * kRows;
  if (first >= a.T) return;
  const int pieces = static_cast<int>(a.row_bytes / 16);
  const int64_t below = rows_below(a.rows, a.M, first);
  const int64_t next = lane < kRows && below + lane < a.M ? a.rows[below + lane] : -1;
  int64_t index = below;  // of the next row among `rows`
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int64_t t = first + r;
    const bool listed = __any_sync(kAll, next == t);
    if (t >= a.T) return;
    const uint4 *base = nullptr, *values = nullptr;
    if (a.base != nullptr && (!listed || meeting != Meeting::replace))
      base = static_cast<const uint4*>(a.base) + t * pieces;
    if (a.values != nullptr && listed)
      values = static_cast<const uint4*>(a.values) + index * pieces;
    if (listed) ++index;
    auto* to = static_cast<uint4*>(a.out) + t * pieces;
    along_row(pieces, [&](int at) {
      const uint4 zero = make_uint4(0, 0, 0, 0);
      uint4 held[kFlights], met[kFlights];
#pragma unroll
      for (int k = 0; k < kFlights; ++k) {
        const int i = at + 32 * k;
        held[k] = met[k] = zero;
        if (i >= pieces) continue;
        if (meeting == Meeting::replace) {
          const uint4* from = values != nullptr ? values : base;
          if (from != nullptr) held[k] = from[i];
        } else {
          if (base != nullptr) held[k] = base[i];
          if (values != nullptr) met[k] = values[i];
        }
      }
#pragma unroll
      for (int k = 0; k < kFlights; ++k) {
        const int i = at + 32 * k;
        if (i >= pieces) continue;
        if (meeting == Meeting::replace || values == nullptr) {
          to[i] = held[k];
        } else if (meeting == Meeting::add_bf16) {
          to[i] = sum<__nv_bfloat16>(held[k], met[k]);
        } else {
          to[i] = sum<float>(held[k], met[k]);
        }
      }
    });
  }
}

unsigned blocks_of(int64_t warps) {
  return static_cast<unsigned>((warps + kWarps - 1) / kWarps);
}

}  // namespace

void gather_rows_cuda(const GatherRowsArgs& args, CUstream_st* stream) {
  if (args.M == 0 || args.row_bytes == 0) return;
  gather<<<blocks_of(args.M), kThreads, 0, stream>>>(args);
}

void spread_rows_cuda(const SpreadRowsArgs& args, CUstream_st* stream) {
  if (args.T == 0 || args.row_bytes == 0) return;
  const unsigned blocks = blocks_of((args.T + kRows - 1) / kRows);
  switch (args.meeting) {
    case Meeting::replace:
      return spread<Meeting::replace><<<blocks, kThreads, 0, stream>>>(args);
    case Meeting::add_bf16:
      return spread<Meeting::add_bf16><<<blocks, kThreads, 0, stream>>>(args);
    case Meeting::add_f32:
      return spread<Meeting::add_f32><<<blocks, kThreads, 0, stream>>>(args);
  }
}

}  // namespace lmms::kernels
