#pragma once
/// AdamW over the buckets of a model: fp32 masters and moments, one global norm, clipping and
/// skipping without the host.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/adamw/adamw.h"
#include "optim/config.h"
#include "parallel/bucket.h"

namespace lmms::optim {

/// Elements [offset, offset + length) of a bucket that belong to a group: to an entry of
/// OptimizerConfig::learning_rates, counted from 1.
struct GroupStretch {
  int64_t offset = 0, length = 0;
  int32_t group = 0;

  bool operator==(const GroupStretch&) const = default;
};

class Adamw {
 public:
  /// The buckets must outlive the optimiser. `decay_everything`: norms and biases decay too
  /// (compat: decay). `groups`: for each bucket the stretches that belong to a group, in order;
  /// whatever is in none belongs to group 0. Empty: no bucket has any.
  Adamw(std::vector<parallel::Bucket>& buckets, const OptimizerConfig& config,
        bool decay_everything, std::span<const std::vector<GroupStretch>> groups = {});

  /// Reads the gradients in the buckets and the step's loss (a scalar on their device) and updates,
  /// unless one of them is not finite. Never waits for the device. `learning_rates`: one for each
  /// group, group 0 first.
  void step(std::span<const double> learning_rates, const at::Tensor& loss);
  /// Where all weights are in group 0.
  void step(double learning_rate, const at::Tensor& loss) { step({&learning_rate, 1}, loss); }

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
  // Elements of a bucket that share a weight decay and a group.
  struct Range {
    int64_t offset = 0, length = 0;
    double weight_decay = 0;
    int32_t group = 0;
  };
  void add_ranges(std::vector<Range>& out, parallel::BucketRange range, int32_t group) const;
  std::vector<Range> ranges_of(const parallel::Bucket& bucket,
                               std::span<const GroupStretch> groups) const;

  std::vector<parallel::Bucket>& buckets_;
  OptimizerConfig config_;
  bool decay_everything_;
  std::vector<std::vector<Range>> ranges_;  // by bucket, in order
  std::vector<at::Tensor> first_, second_;
  std::vector<int64_t> partials_at_;  // where a bucket's partial sums begin
  at::Tensor partials_;               // doubles on the device
  at::Tensor control_;                // bytes of one AdamwControl on the device
};

}  // namespace lmms::optim
