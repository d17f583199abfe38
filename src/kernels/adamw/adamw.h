#pragma once
/// One AdamW step over flat ranges of parameters, with the global gradient norm, clipping and the
/// skip of a non-finite step decided where the gradients are: the host never waits. Source:
/// Loshchilov & Hutter 2019, Algorithm 2, in torch.optim.AdamW's order of operations.
#include <cmath>
#include <cstdint>

struct CUstream_st;

namespace lmms::kernels {

/// Learning rates that a step can have: one a group of weights.
inline constexpr int kAdamwGroups = 64;

/// The numbers of a step, one struct on the device of the parameters. The host writes the first
/// part once a step; the kernels own the second, which is saved and restored with the optimiser.
struct AdamwControl {
  double learning_rates[kAdamwGroups] = {};  ///< by group
  int64_t groups = 1;                        ///< how many of them are given
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double max_norm = 0;  ///< clip the global norm to this; 0: never
  double loss = 0;      ///< of this step; a non-finite one skips the update

  int64_t applied = 0;  ///< Adam's t: updates that were made
  double norm = 0;      ///< global gradient norm before clipping
  int64_t skipped_in_a_row = 0;
  int32_t skip = 0;  ///< 1: this step's loss or gradient is not finite, nothing is updated
  float clip = 1;    ///< factor of every gradient
  float inverse_correction = 1;         ///< 1 / sqrt(1 - beta2^t)
  float step_sizes[kAdamwGroups] = {};  ///< by group: learning_rate / (1 - beta1^t)
};

#ifdef __CUDACC__
#define LMMS_HOST_DEVICE __host__ __device__
#else
#define LMMS_HOST_DEVICE
#endif

/// Fills the second part from the sum of squares of all gradients. A clip coefficient of min(1,
/// max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_.
LMMS_HOST_DEVICE inline void adamw_decide(AdamwControl& c, double sum_of_squares) {
  c.norm = sqrt(sum_of_squares);
  // x - x is 0 for every finite x alone
  c.skip = c.norm - c.norm == 0.0 && c.loss - c.loss == 0.0 ? 0 : 1;
  if (c.skip) {
    ++c.skipped_in_a_row;
    return;
  }
  c.skipped_in_a_row = 0;
  ++c.applied;
  const double ratio = c.max_norm / (c.norm + 1e-6);
  c.clip = c.max_norm > 0 && ratio < 1.0 ? static_cast<float>(ratio) : 1.0f;
  const double t = static_cast<double>(c.applied);
  const double correction = 1.0 - pow(c.beta1, t);
  for (int64_t g = 0; g < c.groups; ++g)
    c.step_sizes[g] = static_cast<float>(c.learning_rates[g] / correction);
  c.inverse_correction = static_cast<float>(1.0 / sqrt(1.0 - pow(c.beta2, t)));
}

enum class GradientType : int32_t { f32, bf16 };

/// A range of `count` elements that share a learning rate and a weight decay. All pointers on one
/// device.
struct AdamwRange {
  float* master = nullptr;  ///< fp32 weights
  float* first_moment = nullptr;
  float* second_moment = nullptr;
  const void* gradient = nullptr;  ///< of type gradient_type
  void* bf16_weights = nullptr;    ///< if not null, receives the new weights rounded to bf16
  GradientType gradient_type = GradientType::f32;
  float weight_decay = 0;
  int64_t count = 0;
  int32_t group = 0;  ///< whose learning rate it has
};

/// Elements that one partial sum of squares covers. Blocks are fixed, so that the norm's bits do
/// not depend on threads.
inline constexpr int64_t kNormBlock = 16384;
inline int64_t norm_blocks(int64_t count) {
  return (count + kNormBlock - 1) / kNormBlock;
}

/// partials[i] = sum of squares of the i-th block of the gradient, in double.
void sum_of_squares_cpu(const void* gradient, GradientType type, int64_t count, double* partials);
/// adamw_decide over the sum of `count` partials, added in order.
void adamw_decide_cpu(AdamwControl& control, const double* partials, int64_t count);
void adamw_update_cpu(const AdamwControl& control, const AdamwRange& range);

void sum_of_squares_cuda(const void* gradient, GradientType type, int64_t count, double* partials,
                         CUstream_st* stream);
void adamw_decide_cuda(AdamwControl* control, const double* partials, int64_t count,
                       CUstream_st* stream);
void adamw_update_cuda(const AdamwControl* control, const AdamwRange& range, CUstream_st* stream);

/// The update of one element. p, m, v in fp32, g already clipped.
LMMS_HOST_DEVICE inline void adamw_element(float& p, float& m, float& v, float g,
                                           float decay_factor, float beta1, float beta2,
                                           float step_size, float inverse_correction,
                                           float epsilon) {
  p *= decay_factor;                       // 1 - lr * weight_decay
  m += (g - m) * (1.0f - beta1);           // m_t = b1 m + (1 - b1) g
  v = v * beta2 + (1.0f - beta2) * g * g;  // v_t = b2 v + (1 - b2) g^2
  p -= step_size * m / (sqrtf(v) * inverse_correction + epsilon);
}

}  // namespace lmms::kernels
