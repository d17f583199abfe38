#pragma once
/// One AdamW step over flat ranges of parameters, with the global gradient norm, clipping and the
/// skip of a non-finite step decided where the gradients are: the host never waits. Source:
/// Loshchilov & Hutter 2019, Algorithm 2, in torch.optim.AdamW's order of operations: numbers of a
/// step in double, rounded to fp32 once; those of an element in fp32, with the roundings of torch's
/// vectorised CPU kernels. An update has torch's bits (tests/parity/optim_test.cpp), but for MKL's
/// square root on a CPU, which is not rounded correctly.
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

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

/// The numbers of a step, one struct on the device of the parameters. The host writes the first
/// part once a step; the kernels own the second, of which `applied` and `skipped_in_a_row` are
/// saved and restored with the optimiser.
struct AdamwControl {
  double learning_rates[kAdamwGroups] = {};  ///< by group
  int64_t groups = 1;                        ///< how many of them are given
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double max_norm = 0;            ///< clip the global norm to this; 0: never
  uint32_t rounding_key[2] = {};  ///< of Philox, where bf16 states are rounded at random
  double loss = 0;                ///< of this step; a non-finite one skips the update

  int64_t applied = 0;  ///< Adam's t: updates that were made
  double norm = 0;      ///< global gradient norm before clipping; infinite beyond kLargestNorm
  int64_t skipped_in_a_row = 0;
  int32_t skip = 0;  ///< 1: this step's loss or gradient is not finite, nothing is updated
  AdamwFactors factors;
  float step_sizes[kAdamwGroups] = {};  ///< by group: learning_rate / (1 - beta1^t)
};

/// A gradient of a larger norm counts as infinite: fp32 could not hold its squares, and moments
/// would become infinite for good. (A norm in fp32, as torch computes it, ends at 1.8e19.)
inline constexpr double kLargestNorm = 1e19;

#ifdef __CUDACC__
#define LMMS_HOST_DEVICE __host__ __device__
#else
#define LMMS_HOST_DEVICE
#endif

/// Fills the second part from the sum of squares of all gradients. A clip coefficient of min(1,
/// max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_.
LMMS_HOST_DEVICE inline void adamw_decide(AdamwControl& c, double sum_of_squares) {
  c.norm = sqrt(sum_of_squares);
  if (c.norm > kLargestNorm) c.norm = HUGE_VAL;
  // x - x is 0 for every finite x alone
  c.skip = c.norm - c.norm == 0.0 && c.loss - c.loss == 0.0 ? 0 : 1;
  if (c.skip) {
    ++c.skipped_in_a_row;
    return;
  }
  c.skipped_in_a_row = 0;
  ++c.applied;
  const double ratio = c.max_norm / (c.norm + 1e-6);
  const double t = static_cast<double>(c.applied);
  const double first_correction = 1.0 - pow(c.beta1, t);
  for (int64_t g = 0; g < c.groups; ++g)
    c.step_sizes[g] = static_cast<float>(c.learning_rates[g] / first_correction);
  AdamwFactors& f = c.factors;
  f.clip = c.max_norm > 0 && ratio < 1.0 ? static_cast<float>(ratio) : 1.0f;
  f.first_share = static_cast<float>(1.0 - c.beta1);
  f.second_decay = static_cast<float>(c.beta2);
  f.second_share = static_cast<float>(1.0 - c.beta2);
  f.correction = static_cast<float>(sqrt(1.0 - pow(c.beta2, t)));
  f.epsilon = static_cast<float>(c.epsilon);
}

enum class Stored : int32_t { f32, bf16 };

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

/// Whether an update leaves the gradient as it is, or sets it to zero behind itself (also in a step
/// that is skipped).
enum class GradientSlots { left, zeroed };

/// Elements that one partial sum of squares covers. Blocks are fixed, so that the norm's bits do
/// not depend on threads.
inline constexpr int64_t kNormBlock = 16384;
inline int64_t norm_blocks(int64_t count) {
  return (count + kNormBlock - 1) / kNormBlock;
}

/// partials[i] = sum of squares of the i-th block of the gradient, in double.
void sum_of_squares_cpu(const void* gradient, Stored type, int64_t count, double* partials);
/// adamw_decide over the sum of `count` partials, added in order.
void adamw_decide_cpu(AdamwControl& control, const double* partials, int64_t count);
void adamw_update_cpu(const AdamwControl& control, const AdamwRange& range,
                      GradientSlots slots = GradientSlots::left);

/// On a GPU one launch serves all ranges: a table on the device says which block of threads works
/// on which piece of which range.
struct Tile {
  int32_t range = 0;
  int32_t index = 0;  ///< its elements begin at index * (elements of a tile)
};
inline constexpr int64_t kAdamwTile = 8192;
/// The tiles of ranges with these counts, in order.
std::vector<Tile> tiles_of(std::span<const int64_t> counts, int64_t tile);

struct GradientSpan {
  const void* gradient = nullptr;
  int64_t count = 0;
  Stored type = Stored::f32;
};

/// partials[i] = sum of squares of tile i (tiles of kNormBlock), the same bits in every run.
/// Spans and tiles are on the device. Bytes moved: the gradients once.
void sum_of_squares_cuda(const GradientSpan* spans, const Tile* tiles, int64_t tile_count,
                         double* partials, CUstream_st* stream);
void adamw_decide_cuda(AdamwControl* control, const double* partials, int64_t count,
                       CUstream_st* stream);
/// Ranges and tiles (of kAdamwTile) are on the device.
void adamw_update_cuda(const AdamwControl* control, const AdamwRange* ranges, const Tile* tiles,
                       int64_t tile_count, GradientSlots slots, CUstream_st* stream);

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
LMMS_HOST_DEVICE inline float adamw_decay(const AdamwControl& c, const AdamwRange& r) {
#ifdef __CUDA_ARCH__
  return static_cast<float>(1.0 - __dmul_rn(c.learning_rates[r.group], r.weight_decay));
#else
  return static_cast<float>(1.0 - c.learning_rates[r.group] * r.weight_decay);
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
