#pragma once
/// An exponential moving average of the weights in fp32 (Polyak & Juditsky 1992; the form of
/// Tarvainen & Valpola 2017): average <- decay * average + (1 - decay) * weights, where decay may
/// grow at first (TensorFlow's ExponentialMovingAverage with num_updates).
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

  /// The share of the old average that stays at the update of `step`: a function of the step alone,
  /// so that a run that goes on has the same.
  double decay(int64_t step) const;

  /// [length] fp32 of local() of bucket b after `step`: averages, and the weights where nothing is
  /// averaged; undefined for a bucket without averages.
  at::Tensor average(size_t b, int64_t step) const;
  /// The same memory, for a checkpoint to fill.
  const at::Tensor& stored(size_t b) const { return averages_[b]; }
  /// The average becomes the weights.
  void copy_from_weights();
  /// The weights (and masters) become the average.
  void copy_to_weights();

  /// While it lives, a forward computes with the averages after `step`. Then the weights are what
  /// they were, to the bit; masters never change. Takes the memory of the weights once more.
  class InPlace {
   public:
    InPlace(const Ema& ema, int64_t step);
    ~InPlace();
    InPlace(const InPlace&) = delete;
    InPlace& operator=(const InPlace&) = delete;

   private:
    const Ema& ema_;
    std::vector<at::Tensor> weights_;  // by bucket; undefined where nothing is averaged
  };

 private:
  std::span<parallel::Bucket> buckets_;
  std::vector<std::vector<parallel::Range>> averaged_;
  EmaConfig config_;
  std::vector<at::Tensor> averages_;
};

}  // namespace lmms::optim
