#pragma once
/// What a step decides about the gradients of a network, where the gradients are: their global
/// norm, the factor that clips them, whether the update is made, how many have been made. The host
/// never waits: optimisers read the struct on the device, the host a copy of it one step later.
#include <cmath>
#include <cstdint>

#include "kernels/flat_ranges.h"

struct CUstream_st;

namespace lmms::kernels {

/// What an op may find out on the device only, in forward or backward, and that ends the run. Once
/// set it stays.
enum class StepFault : int32_t {
  none = 0,
  scaled_loss = 1,  ///< the result of linear_loss was scaled, but its gradients are made already
};
/// What went wrong, and how to mend it, as an error tells it. `fault`: of StepControl.
struct FaultText {
  const char* what;
  const char* fix;
};
FaultText text_of(StepFault fault);

/// One struct on the device of the gradients. `applied` and `skipped_in_a_row` are saved and
/// restored with a run.
struct StepControl {
  double max_norm = 0;  ///< clip the global norm to this; 0: never. Written by the host, once
  double loss = 0;      ///< of this step; a non-finite one skips the update

  int64_t applied = 0;  ///< t: updates that were made
  double norm = 0;      ///< global gradient norm before clipping; infinite beyond kLargestNorm
  int64_t skipped_in_a_row = 0;
  float clip = 1;     ///< factor of every gradient
  int32_t skip = 0;   ///< 1: nothing is updated
  int32_t fault = 0;  ///< a StepFault
};

/// A gradient of a larger norm counts as infinite: fp32 could not hold its squares, and moments
/// would become infinite for good. (A norm in fp32, as torch computes it, ends at 1.8e19.)
inline constexpr double kLargestNorm = 1e19;

/// Decides, from the sum of squares of all gradients. A step whose loss or norm is not finite is
/// skipped and counted; one with a fault is skipped. A clip coefficient of min(1, max_norm / (norm
/// + 1e-6)), as torch.nn.utils.clip_grad_norm_, rounded to fp32 once.
LMMS_HOST_DEVICE inline void step_decide(StepControl& c, double sum_of_squares) {
  c.norm = sqrt(sum_of_squares);
  if (c.norm > kLargestNorm) c.norm = HUGE_VAL;
  // x - x is 0 for every finite x alone
  const bool finite = c.norm - c.norm == 0.0 && c.loss - c.loss == 0.0;
  c.skip = finite && c.fault == 0 ? 0 : 1;
  if (c.fault != 0) return;
  if (!finite) {
    ++c.skipped_in_a_row;
    return;
  }
  c.skipped_in_a_row = 0;
  ++c.applied;
  const double ratio = c.max_norm / (c.norm + 1e-6);
  c.clip = c.max_norm > 0 && ratio < 1.0 ? static_cast<float>(ratio) : 1.0f;
}

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
/// step_decide over the sum of `count` partials, added in order.
void step_decide_cpu(StepControl& control, const double* partials, int64_t count);

struct GradientSpan {
  const void* gradient = nullptr;
  int64_t count = 0;
  Stored type = Stored::f32;
};

/// partials[i] = sum of squares of tile i (tiles of kNormBlock), the same bits in every run.
/// Spans and tiles are on the device. Bytes moved: the gradients once.
void sum_of_squares_cuda(const GradientSpan* spans, const Tile* tiles, int64_t tile_count,
                         double* partials, CUstream_st* stream);
/// step_decide over the sum of the partials, in a fixed order.
void step_decide_cuda(StepControl* control, const double* partials, int64_t count,
                      CUstream_st* stream);

}  // namespace lmms::kernels
