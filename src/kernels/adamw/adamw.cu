// Two launches a step, whatever the number of buckets: one thread prepares what all elements share
// (powers in double would cost every block of the update more than its memory traffic), and the
// update (one block for each kAdamwTile elements; tables on the device say which block works
// where), which is bound by memory.
//
// The update: a thread owns the neighbouring elements of one 16-byte access to the states at a time
// (4 of fp32, 8 of bf16), so that a warp touches whole cache lines, and it loads 8 elements of each
// tensor before it uses the first: with 768 threads on a multiprocessor (85 registers each; 64
// spill) 43 to 86 kB are in flight, far more than memory's latency needs. A range whose pointers
// are not multiples of 16 bytes (a group of learning rates can begin anywhere) and the elements
// behind its last whole group go one by one.
//
// bf16 states cost 14 bytes an element instead of 28, so that arithmetic begins to count: one call
// of Philox serves two elements, and the key's schedule is the same for all threads.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/adamw/adamw.h"

namespace lmms::kernels {
namespace {

constexpr int kThreads = 256;
static_assert(kAdamwTile % (kThreads * 8) == 0);

__device__ float load(float x) {
  return x;
}
__device__ float load(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
__device__ void store(float& to, float x, uint32_t) {
  to = x;
}
__device__ void store(__nv_bfloat16& to, float x, uint32_t half) {
  to = __ushort_as_bfloat16(round_at_random(__float_as_uint(x), half));
}

template <class T, int n>
struct alignas(sizeof(T) * n < 16 ? sizeof(T) * n : 16) Vector {
  T at[n];
};

__global__ void prepare(AdamwStep* step, const StepControl* control) {
  adamw_prepare(*step, *control);
}

struct Numbers {
  AdamwFactors factors;
  float decay, step_size;
  uint64_t applied;
  uint32_t key0, key1;
};

template <class S>
__device__ void element(S& p, S& m, S& v, float g, const Numbers& n, const RoundingBits& bits,
                        int odd) {
  float w = load(p), first = load(m), second = load(v);
  adamw_element(w, first, second, g, n.factors, n.decay, n.step_size);
  store(p, w, bits.half(0, odd));
  store(m, first, bits.half(1, odd));
  store(v, second, bits.half(2, odd));
}

template <class S>
__device__ RoundingBits bits_of(int64_t element, const Numbers& n) {
  if constexpr (sizeof(S) == 4) return {};
  return rounding_bits(static_cast<uint64_t>(element / 2), n.applied, n.key0, n.key1);
}

// Elements [begin, begin + count) of a range.
template <class S, class G>
__device__ void update(const AdamwRange& r, int64_t begin, int64_t count, const Numbers& n,
                       bool zero) {
  S* p = static_cast<S*>(r.master) + begin;
  S* m = static_cast<S*>(r.first_moment) + begin;
  S* v = static_cast<S*>(r.second_moment) + begin;
  G* g = static_cast<G*>(r.gradient) + begin;
  auto* bf16 = static_cast<__nv_bfloat16*>(r.bf16_weights);
  if (bf16 != nullptr) bf16 += begin;
  const int64_t first = r.first + begin;

  const uintptr_t places = reinterpret_cast<uintptr_t>(p) | reinterpret_cast<uintptr_t>(m) |
                           reinterpret_cast<uintptr_t>(v) | reinterpret_cast<uintptr_t>(g) |
                           reinterpret_cast<uintptr_t>(bf16);
  int64_t done = 0;
  if (places % 16 == 0 && first % 2 == 0) {
    constexpr int kVector = 16 / sizeof(S), kFlights = 8 / kVector;
    using State = Vector<S, kVector>;
    using Gradient = Vector<G, kVector>;
    using Narrow = Vector<__nv_bfloat16, kVector>;
    auto *ps = reinterpret_cast<State*>(p), *ms = reinterpret_cast<State*>(m),
         *vs = reinterpret_cast<State*>(v);
    auto* gs = reinterpret_cast<Gradient*>(g);
    auto* weights = reinterpret_cast<Narrow*>(bf16);
    const int whole = static_cast<int>(count / kVector);
    for (int i = threadIdx.x; i < whole; i += kFlights * kThreads) {
      State pk[kFlights], mk[kFlights], vk[kFlights];
      Gradient gk[kFlights];
#pragma unroll
      for (int k = 0; k < kFlights; ++k) {
        const int at = i + k * kThreads;
        if (at < whole) {
          pk[k] = ps[at];
          mk[k] = ms[at];
          vk[k] = vs[at];
          gk[k] = gs[at];
        }
      }
#pragma unroll
      for (int k = 0; k < kFlights; ++k) {
        const int at = i + k * kThreads;
        if (at >= whole) break;
        Narrow narrow;
#pragma unroll
        for (int j = 0; j < kVector; j += 2) {
          const RoundingBits bits = bits_of<S>(first + int64_t{at} * kVector + j, n);
#pragma unroll
          for (int odd = 0; odd < 2; ++odd) {
            element(pk[k].at[j + odd], mk[k].at[j + odd], vk[k].at[j + odd],
                    load(gk[k].at[j + odd]), n, bits, odd);
            narrow.at[j + odd] = __float2bfloat16(load(pk[k].at[j + odd]));
          }
        }
        ps[at] = pk[k];
        ms[at] = mk[k];
        vs[at] = vk[k];
        if (bf16 != nullptr) weights[at] = narrow;
        if (zero) gs[at] = {};
      }
    }
    done = int64_t{whole} * kVector;
  }
  for (int64_t i = done + threadIdx.x; i < count; i += kThreads) {
    element(p[i], m[i], v[i], load(g[i]), n, bits_of<S>(first + i, n),
            static_cast<int>((first + i) % 2));
    if (bf16 != nullptr) bf16[i] = __float2bfloat16(load(p[i]));
    if (zero) g[i] = G(0.0f);
  }
}

__global__ void __launch_bounds__(kThreads, 3)
    update(const StepControl* control, const AdamwStep* step, const AdamwRange* ranges,
           const Tile* tiles, bool zero) {
  const Tile tile = tiles[blockIdx.x];
  const AdamwRange& r = ranges[tile.range];
  const StepControl& c = *control;
  const AdamwStep& s = *step;
  const int64_t begin = int64_t{tile.index} * kAdamwTile;
  const int64_t count = min(kAdamwTile, r.count - begin);
  const bool wide_gradient = r.gradient_type == Stored::f32;
  if (c.skip) {
    if (!zero) return;
    const int64_t bytes = count * (wide_gradient ? 4 : 2);
    auto* g = static_cast<char*>(r.gradient) + begin * (wide_gradient ? 4 : 2);
    for (int64_t i = 2 * threadIdx.x; i < bytes; i += 2 * kThreads)  // rare: no need to be quick
      *reinterpret_cast<uint16_t*>(g + i) = 0;
    return;
  }
  Numbers n;
  n.factors = s.factors;
  n.decay = adamw_decay(s, r);
  n.step_size = s.step_sizes[r.group];
  n.applied = static_cast<uint64_t>(c.applied);
  n.key0 = s.rounding_key[0];
  n.key1 = s.rounding_key[1];
  if (r.state == Stored::f32) {
    wide_gradient ? update<float, float>(r, begin, count, n, zero)
                  : update<float, __nv_bfloat16>(r, begin, count, n, zero);
  } else {
    wide_gradient ? update<__nv_bfloat16, float>(r, begin, count, n, zero)
                  : update<__nv_bfloat16, __nv_bfloat16>(r, begin, count, n, zero);
  }
}

}  // namespace

void adamw_prepare_cuda(AdamwStep* step, const StepControl* control, CUstream_st* stream) {
  prepare<<<1, 1, 0, stream>>>(step, control);
}

void adamw_update_cuda(const StepControl* control, const AdamwStep* step, const AdamwRange* ranges,
                       const Tile* tiles, int64_t tile_count, GradientSlots slots,
                       CUstream_st* stream) {
  if (tile_count == 0) return;
  update<<<static_cast<unsigned>(tile_count), kThreads, 0, stream>>>(
      control, step, ranges, tiles, slots == GradientSlots::zeroed);
}

}  // namespace lmms::kernels
