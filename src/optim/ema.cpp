#include "optim/ema.h"

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

#include <algorithm>

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

double Ema::decay(int64_t step) const {
  if (!config_.ema_warmup) return config_.ema_decay;
  const int64_t every = config_.ema_update_every;
  const int64_t first = (std::max<int64_t>(config_.ema_start_step, 1) + every - 1) / every;
  const auto before = static_cast<double>(step / every - first);  // updates, skipped ones too
  return std::min(config_.ema_decay, (1 + before) / (10 + before));
}

void Ema::after_update(int64_t step, const at::Tensor& skipped) {
  if (step < config_.ema_start_step || step % config_.ema_update_every != 0) return;
  const c10::NoGradGuard no_grad;
  const at::Tensor weight = skipped.eq(0).to(at::kFloat).mul_(1.0 - decay(step));
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

Ema::InPlace::InPlace(const Ema& ema, int64_t step) : ema_(ema) {
  const c10::NoGradGuard no_grad;
  // all copies first: whoever finds no memory for one must find the weights as they were
  for (size_t b = 0; b < ema.buckets_.size(); ++b) {
    weights_.push_back(ema.averages_[b].defined() ? ema.buckets_[b].local().weights.clone()
                                                  : at::Tensor());
  }
  for (size_t b = 0; b < ema.buckets_.size(); ++b) {
    if (weights_[b].defined()) ema.buckets_[b].local().weights.copy_(ema.average(b, step));
  }
}

Ema::InPlace::~InPlace() {
  const c10::NoGradGuard no_grad;
  for (size_t b = 0; b < weights_.size(); ++b) {
    if (weights_[b].defined()) ema_.buckets_[b].local().weights.copy_(weights_[b]);
  }
}

}  // namespace lmms::optim
