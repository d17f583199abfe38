#include "optim/adamw.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cstddef>
#include <cstring>

#include "kernels/device.h"

namespace lmms::optim {
namespace {

using kernels::AdamwControl;
using kernels::GradientType;

// The host writes these every step; they come first in the struct.
constexpr int64_t kHostDoubles = 5;
static_assert(offsetof(AdamwControl, max_norm) == 4 * sizeof(double));
static_assert(offsetof(AdamwControl, loss) == 5 * sizeof(double));

GradientType type_of(const at::Tensor& gradient) {
  return gradient.scalar_type() == at::kBFloat16 ? GradientType::bf16 : GradientType::f32;
}

}  // namespace

Adamw::Adamw(std::vector<parallel::Bucket>& buckets, const OptimizerConfig& config,
             bool decay_everything)
    : buckets_(buckets), config_(config), decay_everything_(decay_everything) {
  int64_t partials = 0;
  for (const parallel::Bucket& bucket : buckets_) {
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

void Adamw::step(double learning_rate, const at::Tensor& loss) {
  const c10::NoGradGuard no_grad;
  const bool cuda = control_.is_cuda();
  CUstream_st* stream = cuda ? kernels::current_stream() : nullptr;

  at::Tensor host =
      at::empty({kHostDoubles}, at::TensorOptions().dtype(at::kDouble).pinned_memory(cuda));
  const double values[kHostDoubles] = {learning_rate, config_.adam_beta1, config_.adam_beta2,
                                       config_.adam_epsilon, config_.max_grad_norm};
  std::memcpy(host.mutable_data_ptr(), values, sizeof(values));
  const at::Tensor doubles = control_.narrow(0, 0, (kHostDoubles + 1) * 8).view(at::kDouble);
  doubles.narrow(0, 0, kHostDoubles).copy_(host, /*non_blocking=*/true);
  doubles.select(0, kHostDoubles).copy_(loss, /*non_blocking=*/true);

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
    for (const parallel::BucketRange& range : bucket.ranges()) {
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
      r.weight_decay =
          range.decay || decay_everything_ ? static_cast<float>(config_.weight_decay) : 0.0f;
      r.count = range.length;
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
