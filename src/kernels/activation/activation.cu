// Bound by memory: a thread takes sixteen bytes of a row, computes in fp32, and writes. Forward and
// backward are one kernel, so that backward can hand out h as well for the price of its write.
//
// silu(g) = g s, s = 1 / (1 + e^-g):  d silu = s (1 + g (1 - s)).
// gelu_tanh, with t = tanh(a), a = c (x + k x^3):  d = (1 + t) / 2 + x / 2 (1 - t^2) c (1 + 3 k
// x^2). gelu_erf:  d = (1 + erf(x / sqrt 2)) / 2 + x e^(-x^2 / 2) / sqrt(2 pi).
#include "kernels/activation/activation_cuda.h"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

struct Point {
  float value, slope;
};

__device__ inline Point silu(float x) {
  const float s = 1.0f / (1.0f + __expf(-x));
  return {x * s, s * (1.0f + x * (1.0f - s))};
}

template <ActivationKind kKind>
__device__ inline Point gelu(float x) {
  if constexpr (kKind == ActivationKind::gelu_tanh) {
    constexpr float c = 0.7978845608028654f, k = 0.044715f;
    const float t = tanhf(c * (x + k * x * x * x));
    return {0.5f * x * (1.0f + t),
            0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * c * (1.0f + 3.0f * k * x * x)};
  } else {
    const float phi = 0.5f * (1.0f + erff(x * 0.7071067811865476f));
    return {x * phi, phi + x * 0.3989422804014327f * expf(-0.5f * x * x)};
  }
}

template <class T, ActivationKind kKind, bool kBackward>
__global__ void __launch_bounds__(256) activate(ActivationArgs a) {
  using P = Pack<T>;
  constexpr bool kGated = kKind == ActivationKind::silu_glu;
  const int64_t across = a.I / P::kSize, total = a.T * across;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t p = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; p < total; p += stride) {
    const int64_t row = kGated ? p / across : 0,
                  at = kGated ? row * 2 * a.I + (p - row * across) * P::kSize : p * P::kSize;
    const P u = P::load_streaming(static_cast<const T*>(a.u) + at);
    P up, dh, h, du, dup;
    if constexpr (kGated) up = P::load_streaming(static_cast<const T*>(a.u) + at + a.I);
    if constexpr (kBackward) dh = P::load_streaming(static_cast<const T*>(a.dh) + p * P::kSize);
#pragma unroll
    for (int i = 0; i < P::kSize; ++i) {
      Point f;
      float value;
      if constexpr (kGated) {
        const float v = to_float(up.values[i]);
        f = silu(to_float(u.values[i]));
        value = f.value * v;
        if constexpr (kBackward) {
          const float d = to_float(dh.values[i]);
          du.values[i] = from_float<T>(d * v * f.slope);
          dup.values[i] = from_float<T>(d * f.value);
        }
      } else {
        f = gelu<kKind>(to_float(u.values[i]));
        value = f.value;
        if constexpr (kBackward) du.values[i] = from_float<T>(to_float(dh.values[i]) * f.slope);
      }
      h.values[i] = from_float<T>(value);
    }
    if (!kBackward || a.h != nullptr) h.store(static_cast<T*>(a.h) + p * P::kSize);
    if constexpr (kBackward) {
      du.store(static_cast<T*>(a.du) + at);
      if constexpr (kGated) dup.store(static_cast<T*>(a.du) + at + a.I);
    }
  }
}

template <class T, ActivationKind kKind>
void launch(const ActivationArgs& a, CUstream_st* stream) {
  const int64_t wanted = (a.T * a.I / Pack<T>::kSize + 255) / 256,
                most = int64_t{64} * multiprocessors();
  const auto grid = static_cast<unsigned>(wanted < most ? wanted : most);
  if (grid == 0) return;
  if (a.dh != nullptr) {
    activate<T, kKind, true><<<grid, 256, 0, stream>>>(a);
  } else {
    activate<T, kKind, false><<<grid, 256, 0, stream>>>(a);
  }
}

template <class T>
void launch_kind(const ActivationArgs& a, CUstream_st* stream) {
  switch (a.kind) {
    case ActivationKind::silu_glu:
      return launch<T, ActivationKind::silu_glu>(a, stream);
    case ActivationKind::gelu_tanh:
      return launch<T, ActivationKind::gelu_tanh>(a, stream);
    case ActivationKind::gelu_erf:
      return launch<T, ActivationKind::gelu_erf>(a, stream);
  }
}

}  // namespace

void activation_cuda(const ActivationArgs& a, CUstream_st* stream) {
  if (a.bf16) {
    launch_kind<__nv_bfloat16>(a, stream);
  } else {
    launch_kind<float>(a, stream);
  }
}

}  // namespace lmms::kernels
