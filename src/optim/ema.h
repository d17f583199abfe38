#pragma once
/// An exponential moving average of the weights in fp32 (Polyak & Juditsky 1992; the form of
/// Tarvainen & Valpola 2017): average <- decay * average + (1 - decay) * weights.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "optim/config.h"
#include "parallel/bucket.h"

namespace lmms::optim {

class Ema {
 public:
  /// `averaged[b]`: what is averaged of local() of bucket b, ascending; frozen buckets have none.
  /// The average begins as the weights are now. The buckets must outlive it.
  Ema(std::span<parallel::Bucket> buckets, std::vector<std::vector<parallel::Range>> averaged,
      const EmaConfig& config);

  /// Before the update of every step (counted from 1), also of one without a trained token: where
  /// the average begins with this step, it takes the weights as they are.
  void before_update(int64_t step);
  /// After it. `skipped`: int32 scalar on the device, 1 if the update was left out; the average
  /// then stays as it is. Never waits for the device.
  void after_update(int64_t step, const at::Tensor& skipped);

  /// [length] fp32 of local() of bucket b after `step`: averages, and the weights where nothing is
  /// averaged; undefined for a bucket without averages.
  at::Tensor average(size_t b, int64_t step) const;
  /// The same memory, for a checkpoint to fill.
  const at::Tensor& stored(size_t b) const { return averages_[b]; }
  /// The average becomes the weights.
  void copy_from_weights();
  /// The weights (and masters) become the average.
  void copy_to_weights();

 private:
  std::span<parallel::Bucket> buckets_;
  std::vector<std::vector<parallel::Range>> averaged_;
  EmaConfig config_;
  std::vector<at::Tensor> averages_;
};

}  // namespace lmms::optim
