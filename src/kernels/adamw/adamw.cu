// Three kernels a step: sums of squares (one block of threads for each kNormBlock gradients), one
// thread that decides, and the update. All are bound by memory: an element costs 4 + 8 + 8 + 8 (+
// 2) bytes of traffic and a dozen flops, so a plain grid-stride loop suffices. The sums are
// combined in a fixed order: the norm has the same bits in every run.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/adamw/adamw.h"

namespace lmms::kernels {
namespace {

constexpr int kThreads = 256;

__device__ float load(const float* p, int64_t i) {
  return p[i];
}
__device__ float load(const __nv_bfloat16* p, int64_t i) {
  return __bfloat162float(p[i]);
}

__device__ double block_sum(double x) {
  __shared__ double shared[kThreads];
  shared[threadIdx.x] = x;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  return shared[0];
}

template <class T>
__global__ void squares(const T* gradient, int64_t count, double* partials) {
  const int64_t begin = int64_t{blockIdx.x} * kNormBlock;
  const int64_t end = begin + kNormBlock < count ? begin + kNormBlock : count;
  double sum = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += kThreads) {
    const double g = load(gradient, i);
    sum += g * g;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

__global__ void decide(AdamwControl* control, const double* partials, int64_t count) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += kThreads) sum += partials[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) adamw_decide(*control, sum);
}

template <class T>
__global__ void update(const AdamwControl* control, AdamwRange r, const T* gradient) {
  const AdamwControl& c = *control;
  if (c.skip) return;
  const float decay = static_cast<float>(1.0 - c.learning_rates[r.group] * r.weight_decay);
  const float step_size = c.step_sizes[r.group], clip = c.clip, correction = c.inverse_correction;
  const auto beta1 = static_cast<float>(c.beta1), beta2 = static_cast<float>(c.beta2);
  const auto epsilon = static_cast<float>(c.epsilon);
  auto* bf16 = static_cast<__nv_bfloat16*>(r.bf16_weights);
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < r.count; i += stride) {
    float p = r.master[i], m = r.first_moment[i], v = r.second_moment[i];
    adamw_element(p, m, v, load(gradient, i) * clip, decay, beta1, beta2, step_size, correction,
                  epsilon);
    r.master[i] = p;
    r.first_moment[i] = m;
    r.second_moment[i] = v;
    if (bf16 != nullptr) bf16[i] = __float2bfloat16(p);
  }
}

}  // namespace

void sum_of_squares_cuda(const void* gradient, GradientType type, int64_t count, double* partials,
                         CUstream_st* stream) {
  const auto blocks = static_cast<unsigned>(norm_blocks(count));
  if (blocks == 0) return;
  if (type == GradientType::bf16) {
    squares<<<blocks, kThreads, 0, stream>>>(static_cast<const __nv_bfloat16*>(gradient), count,
                                             partials);
  } else {
    squares<<<blocks, kThreads, 0, stream>>>(static_cast<const float*>(gradient), count, partials);
  }
}

void adamw_decide_cuda(AdamwControl* control, const double* partials, int64_t count,
                       CUstream_st* stream) {
  decide<<<1, kThreads, 0, stream>>>(control, partials, count);
}

void adamw_update_cuda(const AdamwControl* control, const AdamwRange& range, CUstream_st* stream) {
  if (range.count == 0) return;
  const int64_t wanted = (range.count + kThreads - 1) / kThreads;
  const auto blocks = static_cast<unsigned>(wanted < 65536 ? wanted : 65536);
  if (range.gradient_type == GradientType::bf16) {
    update<<<blocks, kThreads, 0, stream>>>(control, range,
                                            static_cast<const __nv_bfloat16*>(range.gradient));
  } else {
    update<<<blocks, kThreads, 0, stream>>>(control, range,
                                            static_cast<const float*>(range.gradient));
  }
}

}  // namespace lmms::kernels
