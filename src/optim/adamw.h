#pragma once
/// AdamW over the buckets of a network. Moments are fp32 where the exact weights are; over bf16
/// weights without masters (BucketLayout::masters) they are bf16, and all three are rounded at
/// random, with bits that depend on the seed, the number of the element in the model and the number
/// of the update alone: a resumed run goes on with the same bits.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/adamw/adamw.h"
#include "optim/optimizer.h"

namespace lmms::optim {

class Adamw : public Optimizer {
 public:
  explicit Adamw(const OptimizerSetup& setup);

  const char* name() const override { return "AdamW"; }
  /// On a GPU two launches, however many buckets there are.
  void update(const StepDecision& decision, std::span<const double> learning_rates,
              kernels::GradientSlots slots = kernels::GradientSlots::left) override;
  /// first_moment and second_moment.
  std::vector<OptimizerState> states() const override;
  /// A copy of its numbers of the last step on the host; waits for the device.
  kernels::AdamwStep numbers() const;

 private:
  // Elements of what this rank owns of a bucket that share a weight decay and a group.
  struct Range {
    int64_t offset = 0, length = 0;
    double weight_decay = 0;
    int32_t group = 0;
  };
  void add_ranges(std::vector<Range>& out, parallel::BucketRange range, int32_t group) const;
  std::vector<Range> ranges_of(const parallel::Bucket& bucket,
                               std::span<const GroupRange> groups) const;
  // All of them as the kernels see them.
  std::vector<kernels::AdamwRange> kernel_ranges() const;
  void write_numbers(std::span<const double> learning_rates);
  void record_passes() const;  // of an update on meta buckets

  std::span<parallel::Bucket> buckets_;
  OptimizerConfig config_;
  bool decay_everything_;
  uint64_t seed_;
  std::vector<std::vector<Range>> ranges_;  // by bucket, in order
  std::vector<at::Tensor> first_, second_;
  at::Tensor numbers_;  // bytes of one AdamwStep on the device
  // on a GPU: bytes of AdamwRange and of their tiles
  at::Tensor range_table_, tile_table_;
  int64_t tile_count_ = 0;
};

std::unique_ptr<Optimizer> make_adamw(const OptimizerSetup& setup);

}  // namespace lmms::optim
