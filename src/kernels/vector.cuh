// Sixteen bytes of float or bf16 at once, and sums over the threads of a warp or block.
#pragma once
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace lmms::kernels {

/// As many numbers as sixteen bytes hold; one load or store instruction.
template <class T>
struct alignas(16) Pack {
  static constexpr int kSize = 16 / static_cast<int>(sizeof(T));
  T values[kSize];

  __device__ static Pack load(const T* p) {
    Pack out;
    *reinterpret_cast<uint4*>(&out) = *reinterpret_cast<const uint4*>(p);
    return out;
  }
  /// For what is read once: it need not stay in the caches.
  __device__ static Pack load_streaming(const T* p) {
    Pack out;
    *reinterpret_cast<uint4*>(&out) = __ldcs(reinterpret_cast<const uint4*>(p));
    return out;
  }
  __device__ void store(T* p) const {
    *reinterpret_cast<uint4*>(p) = *reinterpret_cast<const uint4*>(this);
  }
};

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
template <class T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16(x);
}

/// Two numbers rounded to bf16, the first in the lower half.
__device__ inline uint32_t bf16_pair(float a, float b) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&both);
}

inline constexpr float kLog2e = 1.4426950408889634f;

/// 2^x to 2^-22 of it; 0 below 2^-126.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Of shared memory, as its own instructions take it.
__device__ inline uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

/// Sixteen bytes from global to shared memory, under way until this thread's wait_for_copies().
__device__ inline void copy_async(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from)
               : "memory");
}
/// The same, or zeros: `from` is a valid address that is not read.
__device__ inline void copy_async_or_zeros(void* to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(there ? 16 : 0)
               : "memory");
}
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}

/// The sum over `kWidth` neighbouring threads of a warp (a power of two), in all of them.
template <int kWidth = 32>
__device__ inline float warp_sum(float x) {
#pragma unroll
  for (int offset = kWidth / 2; offset > 0; offset /= 2)
    x += __shfl_xor_sync(0xffffffffu, x, offset);
  return x;
}

/// The sum over `warps` warps of a block, in all their threads; `shared` has room for one number a
/// warp. Every thread of the block calls it.
__device__ inline float block_sum(float x, float* shared, int warps) {
  x = warp_sum(x);
  if (warps == 1) return x;
  __syncthreads();  // what an earlier call left has been read
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
  __syncthreads();
  float sum = 0;
  for (int w = 0; w < warps; ++w) sum += shared[w];
  return sum;
}

/// Multiprocessors of the current device.
inline int multiprocessors() {
  static const int count = [] {
    int device = 0, n = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, device);
    return n;
  }();
  return count;
}

}  // namespace lmms::kernels
