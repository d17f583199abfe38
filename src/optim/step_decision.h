#pragma once
/// kernels::StepControl over the buckets of a network: one global norm of all gradients, clipping
/// and skipping, decided on the device. Optimisers and averages read it there.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/step_control/step_control.h"
#include "parallel/bucket.h"

namespace lmms::optim {

class StepDecision {
 public:
  /// The memory of the buckets must outlive it. `max_norm`: the global norm that clipping allows;
  /// 0: no clipping. On meta buckets everything is allocated and nothing computed.
  StepDecision(std::span<const parallel::Bucket> buckets, double max_norm);

  /// Reads the gradients in the buckets and the step's loss (a scalar on their device). Never waits
  /// for the device. On a GPU two launches, however many buckets there are.
  void decide(const at::Tensor& loss);

  /// A copy of the step's numbers on the host. On a GPU this waits for the step; read it a step
  /// later.
  kernels::StepControl control() const;
  /// The numbers where they are.
  const kernels::StepControl* on_device() const;
  /// The same as [sizeof(StepControl)] bytes, for an asynchronous copy.
  const at::Tensor& bytes() const { return control_; }
  /// int32 scalars on the device: 1 if the last step changed nothing; a StepFault, which ops may
  /// set.
  at::Tensor skipped() const;
  at::Tensor fault() const;
  /// t and steps skipped in a row; set when a run is resumed.
  void set_counters(int64_t applied, int64_t skipped_in_a_row);

 private:
  std::vector<kernels::GradientSpan> spans() const;
  at::Tensor member(size_t offset, at::ScalarType type) const;
  void write(const kernels::StepControl& control);

  std::span<const parallel::Bucket> buckets_;
  at::Tensor control_;   // bytes of one StepControl on the device
  at::Tensor partials_;  // doubles on the device
  // on a GPU: bytes of GradientSpan and of their tiles
  at::Tensor span_table_, tile_table_;
  int64_t tile_count_ = 0;
};

}  // namespace lmms::optim
