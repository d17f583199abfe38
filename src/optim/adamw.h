#pragma once
/// AdamW over the buckets of a model: one global norm, clipping and skipping without the host.
/// Masters and moments are fp32; a bucket without masters (BucketLayout::masters) has bf16 moments,
/// and its weights and moments are rounded at random, with bits that depend on the seed, the number
/// of the element in the model and the number of the update alone: a resumed run goes on with the
/// same bits.
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
  /// whatever is in none belongs to group 0. Empty: no bucket has any. `seed`: of the random
  /// rounding. On meta buckets everything is allocated and nothing computed.
  Adamw(std::vector<parallel::Bucket>& buckets, const OptimizerConfig& config,
        bool decay_everything, std::span<const std::vector<GroupStretch>> groups = {},
        uint64_t seed = 0);

  /// Reads the gradients in the buckets and the step's loss (a scalar on their device) and updates,
  /// unless one of them is not finite. Never waits for the device. `learning_rates`: one for each
  /// group, group 0 first. On a GPU three launches, however many buckets there are.
  void step(std::span<const double> learning_rates, const at::Tensor& loss,
            kernels::GradientSlots slots = kernels::GradientSlots::left);
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

  /// fp32 (bf16 without masters), the size of bucket b; undefined where it is frozen.
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

  void make_tables(at::Device device);
  // Gradients of bucket b and all the ranges of the optimiser, as the kernels see them.
  std::vector<kernels::GradientSpan> gradient_spans() const;
  std::vector<kernels::AdamwRange> kernel_ranges() const;
  void write_control(std::span<const double> learning_rates, const at::Tensor& loss);
  void step_on_cpu(kernels::GradientSlots slots);
  void tell_passes() const;  // of a step on meta buckets

  std::vector<parallel::Bucket>& buckets_;
  OptimizerConfig config_;
  bool decay_everything_;
  uint64_t seed_;
  std::vector<std::vector<Range>> ranges_;  // by bucket, in order
  std::vector<at::Tensor> first_, second_;
  // Tables of the kernels on the GPU: bytes of GradientSpan, AdamwRange, and the tiles of each.
  struct Table {
    at::Tensor rows, tiles;
    int64_t tile_count = 0;
  };
  Table spans_, updates_;
  at::Tensor partials_;  // doubles on the device
  at::Tensor control_;   // bytes of one AdamwControl on the device
};

}  // namespace lmms::optim
