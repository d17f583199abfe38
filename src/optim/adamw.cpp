#include "optim/adamw.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "core/rng.h"
#include "kernels/device.h"
#include "kernels/work.h"
#include "optim/device_table.h"

namespace lmms::optim {
namespace {

using kernels::AdamwStep;

static_assert(kMaxModuleRates + 1 == kernels::kAdamwGroups);

// What the host writes every step comes first in the struct.
constexpr int64_t kHostBytes = offsetof(AdamwStep, factors);

}  // namespace

Adamw::Adamw(const OptimizerSetup& setup)
    : buckets_(setup.buckets),
      config_(setup.config),
      decay_everything_(setup.decay_everything),
      seed_(setup.seed) {
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const parallel::Bucket& bucket = buckets_[b];
    ranges_.push_back(ranges_of(
        bucket, setup.groups.empty() ? std::span<const GroupRange>() : std::span(setup.groups[b])));
    if (!bucket.layout().key.trainable) {
      first_.emplace_back();
      second_.emplace_back();
      continue;
    }
    const parallel::Local& local = bucket.local();
    first_.push_back(at::zeros({local.length}, local.exact().options()));
    second_.push_back(at::zeros({local.length}, local.exact().options()));
  }
  const at::Device device =
      buckets_.empty() ? at::Device(at::kCPU) : buckets_.front().local().weights.device();
  numbers_ = at::zeros({static_cast<int64_t>(sizeof(AdamwStep))},
                       at::TensorOptions().dtype(at::kByte).device(device));
  if (device.is_cpu()) return;
  const std::vector<kernels::AdamwRange> ranges = kernel_ranges();
  std::vector<int64_t> counts;
  for (const kernels::AdamwRange& range : ranges) counts.push_back(range.count);
  const auto tiles = kernels::tiles_of(counts, kernels::kAdamwTile);
  range_table_ = device_table(ranges, device);
  tile_table_ = device_table(tiles, device);
  tile_count_ = static_cast<int64_t>(tiles.size());
}

void Adamw::add_ranges(std::vector<Range>& out, parallel::BucketRange range, int32_t group) const {
  if (range.length <= 0) return;
  double decay = 0;
  if (range.decay || decay_everything_) {
    decay = config_.weight_decay;
    if (group > 0)
      decay =
          config_.learning_rates.at(static_cast<size_t>(group - 1)).weight_decay.value_or(decay);
  }
  if (!out.empty() && out.back().offset + out.back().length == range.offset &&
      out.back().group == group && out.back().weight_decay == decay) {
    out.back().length += range.length;
  } else {
    out.push_back({range.offset, range.length, decay, group});
  }
}

std::vector<Adamw::Range> Adamw::ranges_of(const parallel::Bucket& bucket,
                                           std::span<const GroupRange> groups) const {
  std::vector<Range> out;
  for (const parallel::BucketRange& range : bucket.ranges()) {
    int64_t begin = range.offset;
    const int64_t end = range.offset + range.length;
    for (const GroupRange& s : groups) {
      const int64_t from = std::max(begin, s.offset), to = std::min(end, s.offset + s.length);
      if (from >= to) continue;
      add_ranges(out, {begin, from - begin, range.decay}, 0);
      add_ranges(out, {from, to - from, range.decay}, s.group);
      begin = to;
    }
    add_ranges(out, {begin, end - begin, range.decay}, 0);
  }
  return out;
}

std::vector<kernels::AdamwRange> Adamw::kernel_ranges() const {
  std::vector<kernels::AdamwRange> out;
  int64_t elements = 0;  // of the buckets before this one, over all ranks
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const parallel::Bucket& bucket = buckets_[b];
    const parallel::Local& local = bucket.local();
    for (const Range& range : ranges_[b]) {
      if (!bucket.layout().key.trainable) break;
      kernels::AdamwRange r;
      r.master = element_of(local.exact(), range.offset);
      r.first_moment = element_of(first_[b], range.offset);
      r.second_moment = element_of(second_[b], range.offset);
      r.gradient = element_of(local.gradients, range.offset);
      r.gradient_type = stored_type(local.gradients);
      r.state = stored_type(local.exact());
      if (local.masters.defined()) r.bf16_weights = element_of(local.weights, range.offset);
      r.weight_decay = range.weight_decay;
      r.count = range.length;
      r.group = range.group;
      r.first = elements + local.offset + range.offset;
      out.push_back(r);
    }
    elements += bucket.size();
  }
  return out;
}

void Adamw::write_numbers(std::span<const double> learning_rates) {
  AdamwStep given;
  std::copy(learning_rates.begin(), learning_rates.end(), given.learning_rates);
  given.groups = static_cast<int64_t>(learning_rates.size());
  given.beta1 = config_.adam_beta1;
  given.beta2 = config_.adam_beta2;
  given.epsilon = config_.adam_epsilon;
  const rng::Key key = rng::key(seed_, rng::Purpose::rounding);
  std::copy(key.begin(), key.end(), given.rounding_key);
  at::Tensor host = at::empty(
      {kHostBytes}, at::TensorOptions().dtype(at::kByte).pinned_memory(numbers_.is_cuda()));
  std::memcpy(host.mutable_data_ptr(), &given, kHostBytes);
  numbers_.narrow(0, 0, kHostBytes).copy_(host, /*non_blocking=*/true);
}

void Adamw::update(const StepDecision& decision, std::span<const double> learning_rates,
                   kernels::GradientSlots slots) {
  TORCH_INTERNAL_ASSERT(learning_rates.size() == config_.learning_rates.size() + 1,
                        learning_rates.size(), " learning rates for ",
                        config_.learning_rates.size() + 1, " groups");
  for (const double rate : learning_rates)
    TORCH_INTERNAL_ASSERT(std::isfinite(rate), "a learning rate of ", rate);
  const c10::NoGradGuard no_grad;
  write_numbers(learning_rates);
  if (numbers_.is_meta()) return record_passes();
  auto* numbers = static_cast<AdamwStep*>(numbers_.mutable_data_ptr());
  const kernels::StepControl* control = decision.on_device();
  if (numbers_.is_cpu()) {
    kernels::adamw_prepare_cpu(*numbers, *control);
    for (const kernels::AdamwRange& range : kernel_ranges())
      kernels::adamw_update_cpu(*control, *numbers, range, slots);
    return;
  }
  CUstream_st* stream = kernels::current_stream();
  kernels::adamw_prepare_cuda(numbers, control, stream);
  kernels::adamw_update_cuda(control, numbers, rows_of<kernels::AdamwRange>(range_table_),
                             rows_of<kernels::Tile>(tile_table_), tile_count_, slots, stream);
  kernels::check_last_launch("AdamW");
}

void Adamw::record_passes() const {
  for (size_t b = 0; b < buckets_.size(); ++b) {
    if (!buckets_[b].layout().key.trainable) continue;
    const parallel::Local& local = buckets_[b].local();
    const at::Tensor& p = local.exact();
    kernels::record_pass({p, p, first_[b], first_[b], second_[b], second_[b], local.gradients,
                          local.masters.defined() ? local.weights : at::Tensor()},
                         p.scalar_type() == at::kBFloat16 ? 0.72 : 0.93);
  }
}

std::vector<OptimizerState> Adamw::states() const {
  return {{"first_moment", first_}, {"second_moment", second_}};
}

AdamwStep Adamw::numbers() const {
  const at::Tensor host = numbers_.to(at::kCPU);
  AdamwStep out;
  std::memcpy(&out, host.const_data_ptr(), sizeof(out));
  return out;
}

std::unique_ptr<Optimizer> make_adamw(const OptimizerSetup& setup) {
  return std::make_unique<Adamw>(setup);
}

}  // namespace lmms::optim
