#pragma once
/// One AdamW step over flat ranges of parameters; StepControl says how gradients are clipped and
/// whether anything is updated, on the device. Source: Loshchilov & Hutter 2019, Algorithm 2, in
/// torch.optim.AdamW's order of operations: numbers of a step in double, rounded to fp32 once;
/// those of an element in fp32, with the roundings of torch's vectorised CPU kernels. An update has
/// torch's bits (tests/parity/optim_test.cpp), but for MKL's square root on a CPU, which is not
/// rounded correctly.
#include <cmath>
#include <cstdint>

#include "kernels/flat_ranges.h"
#include "kernels/step_control/step_control.h"

struct CUstream_st;

namespace lmms::kernels {

/// Learning rates that a step can have: one a group of weights.
inline constexpr int kAdamwGroups = 64;

/// What all elements of a step share, in fp32.
struct AdamwFactors {
  float clip = 1;          ///< of every gradient
  float first_share = 0;   ///< 1 - beta1, the gradient's share of the first moment
  float second_decay = 0;  ///< beta2
  float second_share = 0;  ///< 1 - beta2
  float correction = 1;    ///< sqrt(1 - beta2^t)
  float epsilon = 0;
};

/// AdamW's numbers of a step, one struct on the device of the parameters. The host writes the first
/// part once a step, adamw_prepare the second.
struct AdamwStep {
  double learning_rates[kAdamwGroups] = {};  ///< by group
  int64_t groups = 1;                        ///< how many of them are given
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  uint32_t rounding_key[2] = {};  ///< of Philox, where bf16 states are rounded at random

  AdamwFactors factors;
  float step_sizes[kAdamwGroups] = {};  ///< by group: learning_rate / (1 - beta1^t)
};

/// Fills the second part from the t that was decided. Does nothing in a step that is skipped.
LMMS_HOST_DEVICE inline void adamw_prepare(AdamwStep& s, const StepControl& control) {
  if (control.skip) return;
  const double t = static_cast<double>(control.applied);
  const double first_correction = 1.0 - pow(s.beta1, t);
  for (int64_t g = 0; g < s.groups; ++g)
    s.step_sizes[g] = static_cast<float>(s.learning_rates[g] / first_correction);
  AdamwFactors& f = s.factors;
  f.clip = control.clip;
  f.first_share = static_cast<float>(1.0 - s.beta1);
  f.second_decay = static_cast<float>(s.beta2);
  f.second_share = static_cast<float>(1.0 - s.beta2);
  f.correction = static_cast<float>(sqrt(1.0 - pow(s.beta2, t)));
  f.epsilon = static_cast<float>(s.epsilon);
}

/// A range of `count` elements that share a learning rate and a weight decay. All pointers on one
/// device. Bytes moved for an element: fp32 state, bf16 gradient and bf16 weights 28 (read 14,
/// write 14); bf16 state and gradient 14; a bf16 gradient that is zeroed 2 more.
struct AdamwRange {
  void* master = nullptr;  ///< the weights that are updated, of type `state`
  void* first_moment = nullptr;
  void* second_moment = nullptr;
  void* gradient = nullptr;      ///< of type gradient_type
  void* bf16_weights = nullptr;  ///< if not null, receives the new fp32 weights rounded to bf16
  Stored gradient_type = Stored::f32;
  double weight_decay = 0;
  int64_t count = 0;
  int32_t group = 0;  ///< whose learning rate it has
  /// Of the weights and both moments. bf16: the update is made in fp32 and each of the three is
  /// rounded up or down at random, so that the expected value is exact.
  Stored state = Stored::f32;
  int64_t first = 0;  ///< number of its first element among all of a model's; keys the rounding
};

void adamw_prepare_cpu(AdamwStep& step, const StepControl& control);
void adamw_update_cpu(const StepControl& control, const AdamwStep& step, const AdamwRange& range,
                      GradientSlots slots = GradientSlots::left);

inline constexpr int64_t kAdamwTile = 8192;
/// One thread; `control` is decided.
void adamw_prepare_cuda(AdamwStep* step, const StepControl* control, CUstream_st* stream);
/// Ranges and tiles (of kAdamwTile) are on the device.
void adamw_update_cuda(const StepControl* control, const AdamwStep* step, const AdamwRange* ranges,
                       const Tile* tiles, int64_t tile_count, GradientSlots slots,
                       CUstream_st* stream);

// Each rounds once, and no compiler may join them (adamw.cpp is built with -ffp-contract=off), so
// that CPU and GPU give the same bits.
#ifdef __CUDA_ARCH__
__device__ inline float times(float a, float b) {
  return __fmul_rn(a, b);
}
__device__ inline float plus(float a, float b) {
  return __fadd_rn(a, b);
}
__device__ inline float times_plus(float a, float b, float c) {
  return __fmaf_rn(a, b, c);
}
#else
inline float times(float a, float b) {
  return a * b;
}
inline float plus(float a, float b) {
  return a + b;
}
inline float times_plus(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
#endif

/// What decay leaves of a weight of the range: 1 - learning rate * weight decay.
LMMS_HOST_DEVICE inline float adamw_decay(const AdamwStep& s, const AdamwRange& r) {
#ifdef __CUDA_ARCH__
  return static_cast<float>(1.0 - __dmul_rn(s.learning_rates[r.group], r.weight_decay));
#else
  return static_cast<float>(1.0 - s.learning_rates[r.group] * r.weight_decay);
#endif
}

/// The update of one element. p, m, v and its gradient in fp32; `decay` is adamw_decay.
LMMS_HOST_DEVICE inline void adamw_element(float& p, float& m, float& v, float gradient,
                                           const AdamwFactors& f, float decay, float step_size) {
  const float g = times(gradient, f.clip);
  p = times(p, decay);
  // m_t = b1 m + (1 - b1) g, as torch.lerp: from the nearer of its ends
  const bool near = f.first_share < 0.5f;
  m = times_plus(plus(g, -m), near ? f.first_share : f.first_share - 1.0f, near ? m : g);
  // v_t = b2 v + (1 - b2) g^2
  v = times_plus(times(f.second_share, g), g, times(v, f.second_decay));
  p = plus(p, -(times(step_size, m) / plus(sqrtf(v) / f.correction, f.epsilon)));
}

/// Random bits of the elements 2 * pair and 2 * pair + 1 in update `t`: Philox4x32-10 (the integers
/// of core/rng.h). Words 0, 1, 2 are for weight, first and second moment, the low half of each for
/// the even element.
struct RoundingBits {
  uint32_t words[3];
  LMMS_HOST_DEVICE uint32_t half(int which, int64_t element) const {
    return element % 2 == 0 ? words[which] & 0xffffu : words[which] >> 16;
  }
};

LMMS_HOST_DEVICE inline RoundingBits rounding_bits(uint64_t pair, uint64_t t, uint32_t key0,
                                                   uint32_t key1) {
  uint32_t c0 = static_cast<uint32_t>(pair), c1 = static_cast<uint32_t>(pair >> 32),
           c2 = static_cast<uint32_t>(t), c3 = static_cast<uint32_t>(t >> 32);
#ifdef __CUDACC__
#pragma unroll
#endif
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53u} * c0, b = uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ key0;
    c1 = static_cast<uint32_t>(b);
    c2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ key1;
    c3 = static_cast<uint32_t>(a);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2}};
}

/// The bits of a bf16 near the float whose bits are given: of its two neighbours the one away from
/// zero with the probability of the cut-off fraction, `half` being uniform in [0, 65536).
LMMS_HOST_DEVICE inline uint16_t round_at_random(uint32_t bits, uint32_t half) {
  if ((bits & 0x7f800000u) == 0x7f800000u)  // infinity, or a NaN, which stays one
    return static_cast<uint16_t>((bits >> 16) | ((bits & 0x007fffffu) != 0 ? 0x40u : 0u));
  return static_cast<uint16_t>((bits + half) >> 16);
}

}  // namespace lmms::kernels
