// Hopper's own instructions (compute capability 9.0a), by the names of the PTX manual: mbarrier,
// cp.async.bulk (TMA), wgmma, setmaxnreg. Addresses of shared memory are its 32-bit ones.
#pragma once
#include <cuda.h>
#include <cuda_bf16.h>

#include <cstdint>

namespace lmms::kernels::hopper {

// Barriers that count arrivals and bytes.

__device__ inline void init_barrier(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals));
}
/// After the last init_barrier, before the barrier of the block.
__device__ inline void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ inline void arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
/// Arrives, and makes the phase wait for `bytes` more that a copy brings.
__device__ inline void arrive_expecting(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
/// Returns once the phase of this parity is over.
__device__ inline void wait(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

/// Named barrier of `threads` threads of the block; 0 is __syncthreads'.
__device__ inline void sync_threads(int name, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(name), "r"(threads) : "memory");
}

// Copies by the bulk engine.

/// The box of `map` at (x, y, z), fastest first, to shared memory; what lies outside is zero.
__device__ inline void load_box(uint32_t to, const CUtensorMap* map, int x, int y, int z,
                                uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes"
      " [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(to),
      "l"(map), "r"(x), "r"(y), "r"(z), "r"(barrier)
      : "memory");
}
/// `bytes`, a multiple of 16, between 16-byte aligned addresses.
__device__ inline void load_bytes(uint32_t to, const void* from, uint32_t bytes, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(to),
      "l"(from), "r"(bytes), "r"(barrier)
      : "memory");
}
/// Stores of this thread to shared memory become visible to wgmma and the bulk engine.
__device__ inline void fence_async_proxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/// Four 8x8 matrices of 16-bit numbers; `row`: of the matrix lane / 8, row lane % 8, its address.
__device__ inline void store_matrices(uint32_t row, uint32_t a, uint32_t b, uint32_t c,
                                      uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row),
               "r"(a), "r"(b), "r"(c), "r"(d)
               : "memory");
}

template <int kRegisters>
__device__ inline void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ inline void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

/// Adds four floats at a 16-byte aligned address of global memory, each by itself atomically.
__device__ inline void add_four(float* to, float a, float b, float c, float d) {
  asm volatile("red.relaxed.gpu.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(a),
               "f"(b), "f"(c), "f"(d)
               : "memory");
}

// Products of a warpgroup: 64 rows, K = 16 a step, bf16, sums in fp32.

/// An operand in shared memory in rows of 128 bytes, swizzled, 1024-byte aligned: rows of 64
/// numbers of K (`repeat` unused), or, transposed, a row for each K of 64 numbers of M or N, whose
/// next 64 lie `repeat` bytes on.
__device__ inline uint64_t operand(uint32_t address, uint32_t repeat = 16) {
  constexpr uint64_t kSwizzle128 = uint64_t{1} << 62, kEightRows = uint64_t{1024 >> 4} << 32;
  return (address >> 4) | (uint64_t{repeat >> 4} << 16) | kEightRows | kSwizzle128;
}
/// The same operand `bytes` further.
__device__ inline uint64_t advanced(uint64_t operand, uint32_t bytes) {
  return operand + (bytes >> 4);
}

/// Before the first product of a batch: registers that it reads have been written.
__device__ inline void begin_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void commit_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Returns when at most `kPending` of the newest batches are unfinished.
template <int kPending>
__device__ inline void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/// The compiler may not move reads or writes of these registers across this point.
template <int kCount>
__device__ inline void pin(float (&x)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(x[i])::"memory");
}

#define LMMS_4(as, x, i) as(x[i]), as(x[i + 1]), as(x[i + 2]), as(x[i + 3])
#define LMMS_8(as, x, i) LMMS_4(as, x, i), LMMS_4(as, x, i + 4)
#define LMMS_16(as, x, i) LMMS_8(as, x, i), LMMS_8(as, x, i + 8)
#define LMMS_20(as, x, i) LMMS_16(as, x, i), LMMS_4(as, x, i + 16)
#define LMMS_32(as, x, i) LMMS_16(as, x, i), LMMS_16(as, x, i + 16)
#define LMMS_40(as, x, i) LMMS_32(as, x, i), LMMS_8(as, x, i + 32)
#define LMMS_64(as, x, i) LMMS_32(as, x, i), LMMS_32(as, x, i + 32)
#define LMMS_NAMES_16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define LMMS_NAMES_20 LMMS_NAMES_16 ", %16, %17, %18, %19"
#define LMMS_NAMES_32 LMMS_NAMES_20 ", %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define LMMS_NAMES_40 LMMS_NAMES_32 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define LMMS_NAMES_64                                                        \
  LMMS_NAMES_40                                                              \
  ", %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, " \
  "%54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

// Both operands in shared memory: sum [64, columns] = a b or, with kAdd, += a b. A transposed
// operand: see operand().
#define LMMS_MULTIPLY(columns, numbers, operands)                                             \
  template <bool kTransposedA, bool kTransposedB, bool kAdd>                                  \
  __device__ inline void multiply(float(&sum)[numbers], uint64_t a, uint64_t b) {             \
    if constexpr (kAdd) {                                                                     \
      asm volatile("wgmma.mma_async.sync.aligned.m64n" #columns                               \
                   "k16.f32.bf16.bf16 {" LMMS_NAMES_##numbers "}, " operands ";"              \
                   : LMMS_##numbers("+f", sum, 0)                                             \
                   : "l"(a), "l"(b), "n"(1), "n"(int{kTransposedA}), "n"(int{kTransposedB})); \
    } else {                                                                                  \
      asm volatile("wgmma.mma_async.sync.aligned.m64n" #columns                               \
                   "k16.f32.bf16.bf16 {" LMMS_NAMES_##numbers "}, " operands ";"              \
                   : LMMS_##numbers("=f", sum, 0)                                             \
                   : "l"(a), "l"(b), "n"(0), "n"(int{kTransposedA}), "n"(int{kTransposedB})); \
    }                                                                                         \
  }
LMMS_MULTIPLY(40, 20, "%20, %21, %22, 1, 1, %23, %24")
LMMS_MULTIPLY(64, 32, "%32, %33, %34, 1, 1, %35, %36")
#undef LMMS_MULTIPLY

// a in registers: rows lane / 4 and that + 8, then the same 8 columns on; sum [64, columns] += a b.
#define LMMS_MULTIPLY(columns, numbers, operands)                                               \
  template <bool kTransposedB>                                                                  \
  __device__ inline void multiply(float(&sum)[numbers], const uint32_t(&a)[4], uint64_t b) {    \
    asm volatile("wgmma.mma_async.sync.aligned.m64n" #columns                                   \
                 "k16.f32.bf16.bf16 {" LMMS_NAMES_##numbers "}, " operands ";"                  \
                 : LMMS_##numbers("+f", sum, 0)                                                 \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "n"(int{kTransposedB})); \
  }
LMMS_MULTIPLY(80, 40, "{%40, %41, %42, %43}, %44, 1, 1, 1, %45")
LMMS_MULTIPLY(128, 64, "{%64, %65, %66, %67}, %68, 1, 1, 1, %69")

#undef LMMS_MULTIPLY
#undef LMMS_4
#undef LMMS_8
#undef LMMS_16
#undef LMMS_20
#undef LMMS_32
#undef LMMS_40
#undef LMMS_64
#undef LMMS_NAMES_16
#undef LMMS_NAMES_20
#undef LMMS_NAMES_32
#undef LMMS_NAMES_40
#undef LMMS_NAMES_64

}  // namespace lmms::kernels::hopper
