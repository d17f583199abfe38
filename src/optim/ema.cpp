#include "optim/ema.h"

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

namespace lmms::optim {

Ema::Ema(std::span<parallel::Bucket> buckets, std::vector<std::vector<parallel::Range>> averaged,
         const EmaConfig& config)
    : buckets_(buckets), averaged_(std::move(averaged)), config_(config) {
  averages_.resize(buckets_.size());
  for (size_t b = 0; b < buckets_.size(); ++b) {
    if (!averaged_[b].empty())
      averages_[b] =
          buckets_[b].local().exact().to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }
}

void Ema::copy_from_weights() {
  for (size_t b = 0; b < buckets_.size(); ++b) {
    if (averages_[b].defined()) averages_[b].copy_(buckets_[b].local().exact());
  }
}

void Ema::before_update(int64_t step) {
  if (step > 1 && step == config_.ema_start_step) copy_from_weights();
}

void Ema::after_update(int64_t step, const at::Tensor& skipped) {
  if (step < config_.ema_start_step || step % config_.ema_update_every != 0) return;
  const c10::NoGradGuard no_grad;
  const at::Tensor weight = skipped.eq(0).to(at::kFloat).mul_(1.0 - config_.ema_decay);
  for (size_t b = 0; b < buckets_.size(); ++b) {
    for (const auto& [offset, length] : averaged_[b]) {
      averages_[b]
          .narrow(0, offset, length)
          .lerp_(buckets_[b].local().exact().narrow(0, offset, length).to(at::kFloat), weight);
    }
  }
}

at::Tensor Ema::average(size_t b, int64_t step) const {
  if (!averages_[b].defined()) return {};
  const at::Tensor& weights = buckets_[b].local().exact();
  int64_t end = 0;
  const auto take_up_to = [&](int64_t begin) {
    averages_[b].narrow(0, end, begin - end).copy_(weights.narrow(0, end, begin - end));
  };
  if (step < config_.ema_start_step) {  // not begun yet
    take_up_to(weights.numel());
    return averages_[b];
  }
  for (const auto& [offset, length] : averaged_[b]) {
    take_up_to(offset);
    end = offset + length;
  }
  take_up_to(weights.numel());
  return averages_[b];
}

void Ema::copy_to_weights() {
  for (size_t b = 0; b < buckets_.size(); ++b) {
    for (const auto& [offset, length] : averaged_[b]) {
      const at::Tensor average = averages_[b].narrow(0, offset, length);
      const parallel::Local& local = buckets_[b].local();
      local.weights.narrow(0, offset, length).copy_(average);
      if (local.masters.defined()) local.masters.narrow(0, offset, length).copy_(average);
    }
  }
}

}  // namespace lmms::optim
