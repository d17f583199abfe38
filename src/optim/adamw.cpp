#include "optim/adamw.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kernels/device.h"

namespace lmms::optim {
namespace {

using kernels::AdamwControl;
using kernels::GradientType;

static_assert(kMaxModuleRates + 1 == kernels::kAdamwGroups);

// What the host writes every step comes first in the struct, the loss behind it.
constexpr int64_t kHostBytes = offsetof(AdamwControl, loss);
static_assert(kHostBytes % sizeof(double) == 0);

GradientType type_of(const at::Tensor& gradient) {
  return gradient.scalar_type() == at::kBFloat16 ? GradientType::bf16 : GradientType::f32;
}

}  // namespace

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
                                           std::span<const GroupStretch> groups) const {
  std::vector<Range> out;
  for (const parallel::BucketRange& range : bucket.ranges()) {
    int64_t begin = range.offset;
    const int64_t end = range.offset + range.length;
    for (const GroupStretch& s : groups) {
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

Adamw::Adamw(std::vector<parallel::Bucket>& buckets, const OptimizerConfig& config,
             bool decay_everything, std::span<const std::vector<GroupStretch>> groups)
    : buckets_(buckets), config_(config), decay_everything_(decay_everything) {
  int64_t partials = 0;
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const parallel::Bucket& bucket = buckets_[b];
    ranges_.push_back(
        ranges_of(bucket, groups.empty() ? std::span<const GroupStretch>() : std::span(groups[b])));
    partials_at_.push_back(partials);
    if (!bucket.layout().trainable) {
      first_.emplace_back();
      second_.emplace_back();
      continue;
    }
    first_.push_back(at::zeros({bucket.size()}, bucket.masters().options()));
    second_.push_back(at::zeros({bucket.size()}, bucket.masters().options()));
    partials += kernels::norm_blocks(bucket.size());
  }
  const at::Device device =
      buckets_.empty() ? at::Device(at::kCPU) : buckets_.front().weights().device();
  partials_ = at::zeros({partials}, at::TensorOptions().dtype(at::kDouble).device(device));
  control_ = at::zeros({static_cast<int64_t>(sizeof(AdamwControl))},
                       at::TensorOptions().dtype(at::kByte).device(device));
}

void Adamw::step(std::span<const double> learning_rates, const at::Tensor& loss) {
  TORCH_INTERNAL_ASSERT(learning_rates.size() == config_.learning_rates.size() + 1,
                        learning_rates.size(), " learning rates for ",
                        config_.learning_rates.size() + 1, " groups");
  const c10::NoGradGuard no_grad;
  const bool cuda = control_.is_cuda();
  CUstream_st* stream = cuda ? kernels::current_stream() : nullptr;

  AdamwControl given;
  std::copy(learning_rates.begin(), learning_rates.end(), given.learning_rates);
  given.groups = static_cast<int64_t>(learning_rates.size());
  given.beta1 = config_.adam_beta1;
  given.beta2 = config_.adam_beta2;
  given.epsilon = config_.adam_epsilon;
  given.max_norm = config_.max_grad_norm;
  at::Tensor host =
      at::empty({kHostBytes}, at::TensorOptions().dtype(at::kByte).pinned_memory(cuda));
  std::memcpy(host.mutable_data_ptr(), &given, kHostBytes);
  control_.narrow(0, 0, kHostBytes).copy_(host, /*non_blocking=*/true);
  control_.narrow(0, kHostBytes, sizeof(double))
      .view(at::kDouble)
      .squeeze(0)
      .copy_(loss, /*non_blocking=*/true);

  auto* partials = partials_.mutable_data_ptr<double>();
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const at::Tensor& gradient = buckets_[b].gradients();
    if (!gradient.defined()) continue;
    double* out = partials + partials_at_[b];
    if (cuda) {
      kernels::sum_of_squares_cuda(gradient.const_data_ptr(), type_of(gradient), gradient.numel(),
                                   out, stream);
    } else {
      kernels::sum_of_squares_cpu(gradient.const_data_ptr(), type_of(gradient), gradient.numel(),
                                  out);
    }
  }
  auto* control = static_cast<AdamwControl*>(control_.mutable_data_ptr());
  if (cuda) {
    kernels::adamw_decide_cuda(control, partials, partials_.numel(), stream);
  } else {
    kernels::adamw_decide_cpu(*control, partials, partials_.numel());
  }

  for (size_t b = 0; b < buckets_.size(); ++b) {
    const parallel::Bucket& bucket = buckets_[b];
    if (!bucket.layout().trainable) continue;
    const at::Tensor& gradient = bucket.gradients();
    for (const Range& range : ranges_[b]) {
      kernels::AdamwRange r;
      r.master = bucket.masters().mutable_data_ptr<float>() + range.offset;
      r.first_moment = first_[b].mutable_data_ptr<float>() + range.offset;
      r.second_moment = second_[b].mutable_data_ptr<float>() + range.offset;
      r.gradient = static_cast<const std::byte*>(gradient.const_data_ptr()) +
                   range.offset * static_cast<int64_t>(gradient.element_size());
      r.gradient_type = type_of(gradient);
      if (!bucket.masters().is_same(bucket.weights())) {
        r.bf16_weights = bucket.weights().mutable_data_ptr<at::BFloat16>() + range.offset;
      }
      r.weight_decay = static_cast<float>(range.weight_decay);
      r.count = range.length;
      r.group = range.group;
      if (cuda) {
        kernels::adamw_update_cuda(control, r, stream);
      } else {
        kernels::adamw_update_cpu(*control, r);
      }
    }
  }
  if (cuda) kernels::check_last_launch("AdamW");
}

AdamwControl Adamw::control() const {
  const at::Tensor host = control_.to(at::kCPU);
  AdamwControl out;
  std::memcpy(&out, host.const_data_ptr(), sizeof(out));
  return out;
}

at::Tensor Adamw::skipped() const {
  return control_.narrow(0, offsetof(AdamwControl, skip), sizeof(AdamwControl::skip))
      .view(at::kInt)
      .squeeze(0);
}

void Adamw::set_counters(int64_t applied, int64_t skipped_in_a_row) {
  AdamwControl c = control();
  c.applied = applied;
  c.skipped_in_a_row = skipped_in_a_row;
  at::Tensor host = at::empty({static_cast<int64_t>(sizeof(c))}, at::kByte);
  std::memcpy(host.mutable_data_ptr(), &c, sizeof(c));
  control_.copy_(host);
}

}  // namespace lmms::optim
