// Bound by memory: each row of dy is read once, each row of the slot that an id has is read and
// written once.
//
// A block of threads takes one piece (up to kEmbeddingPiece positions of one id, most often one)
// and a stretch of columns; a thread owns 8 columns and adds its rows in order, four loads in
// flight. Ids of one piece go straight into the slot. The pieces of a frequent id (a comma,
// padding) leave fp32 partial sums, which a second launch adds in order; so no block is much longer
// than the others, there are no atomics, and the bits are the same in every run.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/embedding/embedding_gradient.h"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

constexpr int kThreads = 128;
constexpr int kColumns = 8;  // of a thread
constexpr int kFlights = 4;

struct Columns {
  float at[kColumns];
};

template <class T>
__device__ Columns load(const T* p) {
  constexpr int kPacks = kColumns / Pack<T>::kSize;
  Columns out;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    const Pack<T> pack = Pack<T>::load(p + k * Pack<T>::kSize);
#pragma unroll
    for (int i = 0; i < Pack<T>::kSize; ++i)
      out.at[k * Pack<T>::kSize + i] = to_float(pack.values[i]);
  }
  return out;
}

template <class T>
__device__ void store(T* p, const Columns& c) {
  constexpr int kPacks = kColumns / Pack<T>::kSize;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    Pack<T> pack;
#pragma unroll
    for (int i = 0; i < Pack<T>::kSize; ++i)
      pack.values[i] = from_float<T>(c.at[k * Pack<T>::kSize + i]);
    pack.store(p + k * Pack<T>::kSize);
  }
}

__device__ void add(Columns& to, const Columns& c) {
#pragma unroll
  for (int i = 0; i < kColumns; ++i) to.at[i] += c.at[i];
}

// The sum of `count` rows: row_of(j) is the first of this thread's columns in the j-th.
template <class T, class F>
__device__ Columns sum_of_rows(int count, const F& row_of) {
  Columns sum = {};
  for (int j = 0; j < count; j += kFlights) {
    Columns held[kFlights];
#pragma unroll
    for (int k = 0; k < kFlights; ++k)
      if (j + k < count) held[k] = load<T>(row_of(j + k));
#pragma unroll
    for (int k = 0; k < kFlights; ++k)
      if (j + k < count) add(sum, held[k]);
  }
  return sum;
}

template <class S>
__device__ void add_to(S* slot, const Columns& sum) {
  Columns old = load(slot);
  add(old, sum);
  store(slot, old);
}

template <class T, class S>
__global__ void __launch_bounds__(kThreads) sum_pieces(EmbeddingGradientArgs a) {
  const int64_t column = (int64_t{blockIdx.y} * kThreads + threadIdx.x) * kColumns;
  if (column >= a.H) return;
  const int4 piece = reinterpret_cast<const int4*>(a.pieces)[blockIdx.x];
  const T* dy = static_cast<const T*>(a.dy) + column;
  const Columns sum =
      sum_of_rows<T>(piece.y, [&](int j) { return dy + a.order[piece.x + j] * a.H; });
  if (piece.w < 0) {
    add_to(static_cast<S*>(a.slot) + piece.z * a.H + column, sum);
  } else {
    store(a.partials + piece.w * a.H + column, sum);
  }
}

template <class S>
__global__ void __launch_bounds__(kThreads) sum_partials(EmbeddingGradientArgs a) {
  const int64_t column = (int64_t{blockIdx.y} * kThreads + threadIdx.x) * kColumns;
  if (column >= a.H) return;
  const int4 run = reinterpret_cast<const int4*>(a.runs)[blockIdx.x];
  const Columns sum =
      sum_of_rows<float>(run.y, [&](int j) { return a.partials + (run.x + j) * a.H + column; });
  add_to(static_cast<S*>(a.slot) + run.z * a.H + column, sum);
}

template <class S>
void launch(const EmbeddingGradientArgs& a, CUstream_st* stream) {
  const auto columns =
      static_cast<unsigned>((a.H + kThreads * kColumns - 1) / (kThreads * kColumns));
  if (a.piece_count == 0) return;
  const dim3 pieces(static_cast<unsigned>(a.piece_count), columns);
  if (a.dy_is_bf16) {
    sum_pieces<__nv_bfloat16, S><<<pieces, kThreads, 0, stream>>>(a);
  } else {
    sum_pieces<float, S><<<pieces, kThreads, 0, stream>>>(a);
  }
  if (a.run_count == 0) return;
  sum_partials<S><<<dim3(static_cast<unsigned>(a.run_count), columns), kThreads, 0, stream>>>(a);
}

}  // namespace

void embedding_gradient_cuda(const EmbeddingGradientArgs& args, CUstream_st* stream) {
  args.slot_is_bf16 ? launch<__nv_bfloat16>(args, stream) : launch<float>(args, stream);
}

}  // namespace lmms::kernels
