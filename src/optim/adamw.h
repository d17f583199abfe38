#pragma once
/// AdamW over the buckets of a model: fp32 masters and moments, one global norm, clipping and
/// skipping without the host.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "kernels/adamw/adamw.h"
#include "optim/config.h"
#include "parallel/bucket.h"

namespace lmms::optim {

class Adamw {
 public:
  /// The buckets must outlive the optimiser. `decay_everything`: norms and biases decay too
  /// (compat: decay).
  Adamw(std::vector<parallel::Bucket>& buckets, const OptimizerConfig& config,
        bool decay_everything);

  /// Reads the gradients in the buckets and the step's loss (a scalar on their device) and updates,
  /// unless one of them is not finite. Never waits for the device.
  void step(double learning_rate, const at::Tensor& loss);

  /// A copy of the step's numbers on the host. On a GPU this waits for the step; read it a step
  /// later.
  kernels::AdamwControl control() const;
  /// The numbers themselves, [sizeof(AdamwControl)] bytes on the device, for an asynchronous copy.
  const at::Tensor& control_bytes() const { return control_; }
  /// int32 scalar on the device: 1 if the last step changed nothing.
  at::Tensor skipped() const;
  /// Adam's t; set when a run is resumed.
  void set_counters(int64_t applied, int64_t skipped_in_a_row);

  /// fp32, the size of bucket b; undefined where it is frozen.
  at::Tensor first_moment(size_t b) const { return first_[b]; }
  at::Tensor second_moment(size_t b) const { return second_[b]; }

 private:
  std::vector<parallel::Bucket>& buckets_;
  OptimizerConfig config_;
  bool decay_everything_;
  std::vector<at::Tensor> first_, second_;
  std::vector<int64_t> partials_at_;  // where a bucket's partial sums begin
  at::Tensor partials_;               // doubles on the device
  at::Tensor control_;                // bytes of one AdamwControl on the device
};

}  // namespace lmms::optim
