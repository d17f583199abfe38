// Bound by memory: each logit is read once and its gradient written once. A row of 152k bf16 (304
// kB) is larger than the registers or the shared memory of a multiprocessor, and a second read from
// memory would cost half as much again; so a cluster of up to eight blocks shares a row, each
// thread keeping up to ten 16-byte pieces of it in registers, and the blocks exchange their maxima
// and sums through each other's shared memory. Several clusters share the multiprocessors, so that
// one loads while another computes.
//
// A thread takes the maximum of its pieces (two bf16 at a time), then the sum of exponentials below
// that maximum; warps, blocks and the cluster merge (max, sum) pairs in a fixed order. The
// exponentials are computed a second time for the gradient rather than kept: they would need twice
// the registers of the logits. The logit of the target is read by all before anyone writes, and its
// owner corrects the one gradient after its own store.
//
// Refused: rows longer than kSoftmaxGradientWidth and devices without clusters (the composition of
// ATen's kernels takes them).
#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <utility>

#include "kernels/linear_loss/softmax_gradient.h"
#include "kernels/vector.cuh"

namespace lmms::kernels {
namespace {

namespace cg = cooperative_groups;

[[maybe_unused]] constexpr float kLn2 = 0.6931471805599453f;
// Below every logit: the maximum where a thread has none. Finite, so that no difference is NaN.
[[maybe_unused]] constexpr float kNothing = -1e30f;
constexpr uint32_t kLowest = 0xff7fff7fu;  // two times the lowest finite bf16
constexpr int kPiece = 8;                  // bf16 of one access
constexpr int kMaxCluster = 8;

struct Statistics {
  float max;    // of the logits
  float sum;    // of exp(logit - max)
  float total;  // of the logits
};

__device__ float low(uint32_t pair) {
  return __uint_as_float(pair << 16);
}
__device__ float high(uint32_t pair) {
  return __uint_as_float(pair & 0xffff0000u);
}

// Over groups of `width` neighbouring lanes; all of them get the result.
template <int width>
__device__ Statistics merged(Statistics s) {
  float max = s.max;
#pragma unroll
  for (int step = width / 2; step > 0; step /= 2)
    max = fmaxf(max, __shfl_xor_sync(0xffffffffu, max, step));
  s.sum *= exp2_fast((s.max - max) * kLog2e);
  s.max = max;
#pragma unroll
  for (int step = width / 2; step > 0; step /= 2) {
    s.sum += __shfl_xor_sync(0xffffffffu, s.sum, step);
    s.total += __shfl_xor_sync(0xffffffffu, s.total, step);
  }
  return s;
}

template <int pieces>
__device__ Statistics of_pieces(const uint4 (&row)[pieces], bool wants_total) {
  auto max2 = __nv_bfloat162(__ushort_as_bfloat16(kLowest & 0xffff),
                             __ushort_as_bfloat16(kLowest & 0xffff));
#pragma unroll
  for (int k = 0; k < pieces; ++k) {
#pragma unroll
    for (uint32_t pair : {row[k].x, row[k].y, row[k].z, row[k].w})
      max2 = __hmax2(max2, *reinterpret_cast<const __nv_bfloat162*>(&pair));
  }
  Statistics s;
  s.max = fmaxf(kNothing, fmaxf(__low2float(max2), __high2float(max2)));
  const float shift = s.max * kLog2e;
  float even = 0, odd = 0;
#pragma unroll
  for (int k = 0; k < pieces; ++k) {
#pragma unroll
    for (uint32_t pair : {row[k].x, row[k].y, row[k].z, row[k].w}) {
      even += exp2_fast(fmaf(low(pair), kLog2e, -shift));
      odd += exp2_fast(fmaf(high(pair), kLog2e, -shift));
    }
  }
  s.sum = even + odd;
  s.total = 0;
  if (!wants_total) return s;
#pragma unroll
  for (int k = 0; k < pieces; ++k) {
#pragma unroll
    for (uint32_t pair : {row[k].x, row[k].y, row[k].z, row[k].w}) {
      s.total += low(pair) > kNothing ? low(pair) : 0.0f;
      s.total += high(pair) > kNothing ? high(pair) : 0.0f;
    }
  }
  return s;
}

[[maybe_unused]] __device__ void mask_from(uint4& piece,
                                           int count) {  // elements from `count` on are no logits
  uint32_t* words = &piece.x;
#pragma unroll
  for (int i = 0; i < kPiece; ++i) {
    if (i >= count)
      words[i / 2] = i % 2 == 0 ? (words[i / 2] & 0xffff0000u) | (kLowest & 0xffffu)
                                : (words[i / 2] & 0xffffu) | (kLowest & 0xffff0000u);
  }
}

[[maybe_unused]] __device__ uint32_t gradients(uint32_t pair, float shift, float scale,
                                               float constant) {
  const float a = fmaf(exp2_fast(fmaf(low(pair), kLog2e, -shift)), scale, -constant);
  const float b = fmaf(exp2_fast(fmaf(high(pair), kLog2e, -shift)), scale, -constant);
  const __nv_bfloat162 both = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&both);
}

template <int pieces, int threads>
__global__ void __launch_bounds__(threads, threads == 256 ? 3 : 1)
    softmax_gradient(SoftmaxGradientArgs a) {
#if __CUDA_ARCH__ >= 900
  const cg::cluster_group cluster = cg::this_cluster();
  const int blocks = static_cast<int>(cluster.num_blocks()),
            rank = static_cast<int>(cluster.block_rank());
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  __shared__ Statistics of_warp[threads / 32], of_block[kMaxCluster];
  auto started = cluster.barrier_arrive();  // nobody writes into a block that is not there yet

  const int64_t n = blockIdx.x / blocks;
  auto* x = static_cast<__nv_bfloat16*>(a.logits) + n * a.stride;
  auto* packed = reinterpret_cast<uint4*>(x);
  const int count = static_cast<int>((a.V + kPiece - 1) / kPiece);
  const int tail = static_cast<int>(a.V % kPiece);
  const int64_t target = a.targets[n];
  const float of_target = __bfloat162float(x[target]), weight = a.weights[n];

  uint4 row[pieces];
  const int first = rank * threads + static_cast<int>(threadIdx.x), step = blocks * threads;
#pragma unroll
  for (int k = 0; k < pieces; ++k) {
    const int at = first + k * step;
    row[k] = at < count ? packed[at] : make_uint4(kLowest, kLowest, kLowest, kLowest);
  }
  if (tail != 0) {
#pragma unroll
    for (int k = 0; k < pieces; ++k) {
      if (first + k * step == count - 1) mask_from(row[k], tail);
    }
  }

  const bool smooth = a.label_smoothing != 0;
  const Statistics mine = merged<32>(of_pieces(row, smooth));
  if (lane == 0) of_warp[warp] = mine;
  __syncthreads();
  cluster.barrier_wait(std::move(started));
  if (warp == 0) {
    const Statistics none = {kNothing, 0, 0};
    const Statistics block = merged<threads / 32>(lane < threads / 32 ? of_warp[lane] : none);
    if (lane < blocks) cluster.map_shared_rank(of_block, lane)[rank] = block;
  }
  cluster.sync();
  const Statistics none = {kNothing, 0, 0};
  const int peer = lane % kMaxCluster;
  const Statistics all = merged<kMaxCluster>(peer < blocks ? of_block[peer] : none);

  const float shift = all.max * kLog2e + __log2f(all.sum);  // lse / ln 2
  const float lse = shift * kLn2, e = a.label_smoothing;
  const auto V = static_cast<float>(a.V);
  if (rank == 0 && threadIdx.x == 0) {
    a.losses[n] =
        weight * ((1 - e) * (lse - of_target) + e * (lse - all.total / V) + a.z_loss * lse * lse);
  }
  if (!a.gradient) return;
  const float scale = weight * (1 + 2 * a.z_loss * lse), constant = weight * e / V;
  bool owner = false;
#pragma unroll
  for (int k = 0; k < pieces; ++k) {
    const int at = first + k * step;
    if (at >= count) break;
    packed[at] = make_uint4(
        gradients(row[k].x, shift, scale, constant), gradients(row[k].y, shift, scale, constant),
        gradients(row[k].z, shift, scale, constant), gradients(row[k].w, shift, scale, constant));
    owner = owner || at == target / kPiece;
  }
  if (owner) {
    const float p = exp2_fast(fmaf(of_target, kLog2e, -shift));
    x[target] = __float2bfloat16(fmaf(p, scale, -constant) - weight * (1 - e));
  }
#endif
}

template <int pieces, int threads>
void launch(const SoftmaxGradientArgs& args, int blocks, CUstream_st* stream) {
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(args.N * blocks));
  config.blockDim = dim3(threads);
  config.stream = stream;
  cudaLaunchAttribute cluster = {};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = static_cast<unsigned>(blocks);
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  config.attrs = &cluster;
  config.numAttrs = 1;
  cudaLaunchKernelEx(&config, softmax_gradient<pieces, threads>, args);
}

}  // namespace

bool softmax_gradient_runs_here() {
  int device = 0, major = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  return major >= 9;
}

void softmax_gradient_cuda(const SoftmaxGradientArgs& args, CUstream_st* stream) {
  if (args.N == 0) return;
  const int64_t count = (args.V + kPiece - 1) / kPiece;
  int blocks = 1;
  const auto pieces = [&] { return (count + blocks * 256 - 1) / (blocks * 256); };
  while (blocks < kMaxCluster && pieces() > 4) blocks *= 2;
  switch (pieces()) {
    case 1:
      return launch<1, 256>(args, blocks, stream);
    case 2:
      return launch<2, 256>(args, blocks, stream);
    case 3:
    case 4:
      return launch<4, 256>(args, blocks, stream);
    case 5:
    case 6:
      return launch<6, 256>(args, blocks, stream);
    case 7:
    case 8:
      return launch<8, 256>(args, blocks, stream);
    case 9:
    case 10:
      return launch<10, 256>(args, blocks, stream);
    default:
      return launch<10, 512>(args, blocks, stream);
  }
}

}  // namespace lmms::kernels
