#include "optim/step_decision.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cstddef>
#include <cstring>

#include "kernels/device.h"
#include "kernels/work.h"
#include "optim/device_table.h"

namespace lmms::optim {

using kernels::StepControl;

StepDecision::StepDecision(std::span<const parallel::Bucket> buckets, double max_norm)
    : buckets_(buckets) {
  std::vector<int64_t> counts;
  int64_t partials = 0;
  for (const kernels::GradientSpan& span : spans()) {
    counts.push_back(span.count);
    partials += kernels::norm_blocks(span.count);
  }
  const at::Device device =
      buckets_.empty() ? at::Device(at::kCPU) : buckets_.front().local().weights.device();
  partials_ = at::zeros({partials}, at::TensorOptions().dtype(at::kDouble).device(device));
  control_ = at::zeros({static_cast<int64_t>(sizeof(StepControl))},
                       at::TensorOptions().dtype(at::kByte).device(device));
  StepControl control;
  control.max_norm = max_norm;
  write(control);
  if (device.is_cpu()) return;
  const auto tiles = kernels::tiles_of(counts, kernels::kNormBlock);
  span_table_ = device_table(spans(), device);
  tile_table_ = device_table(tiles, device);
  tile_count_ = static_cast<int64_t>(tiles.size());
}

std::vector<kernels::GradientSpan> StepDecision::spans() const {
  std::vector<kernels::GradientSpan> out;
  for (const parallel::Bucket& bucket : buckets_) {
    const at::Tensor& gradients = bucket.local().gradients;
    if (!gradients.defined()) continue;
    out.push_back({gradients.const_data_ptr(), gradients.numel(), stored_type(gradients)});
  }
  return out;
}

void StepDecision::decide(const at::Tensor& loss) {
  const c10::NoGradGuard no_grad;
  member(offsetof(StepControl, loss), at::kDouble).copy_(loss, /*non_blocking=*/true);
  auto* partials = static_cast<double*>(partials_.mutable_data_ptr());
  auto* control = static_cast<StepControl*>(control_.mutable_data_ptr());
  if (control_.is_cpu()) {
    for (const kernels::GradientSpan& span : spans()) {
      kernels::sum_of_squares_cpu(span.gradient, span.type, span.count, partials);
      partials += kernels::norm_blocks(span.count);
    }
    kernels::step_decide_cpu(*control, partials_.const_data_ptr<double>(), partials_.numel());
  } else if (control_.is_cuda()) {
    CUstream_st* stream = kernels::current_stream();
    kernels::sum_of_squares_cuda(rows_of<kernels::GradientSpan>(span_table_),
                                 rows_of<kernels::Tile>(tile_table_), tile_count_, partials,
                                 stream);
    kernels::step_decide_cuda(control, partials, partials_.numel(), stream);
    kernels::check_last_launch("the gradient norm");
  } else {
    for (const parallel::Bucket& bucket : buckets_) {
      const at::Tensor& gradients = bucket.local().gradients;
      if (gradients.defined()) kernels::record_pass({gradients}, 1.0);
    }
  }
}

StepControl StepDecision::control() const {
  const at::Tensor host = control_.to(at::kCPU);
  StepControl out;
  std::memcpy(&out, host.const_data_ptr(), sizeof(out));
  return out;
}

const StepControl* StepDecision::on_device() const {
  return static_cast<const StepControl*>(control_.const_data_ptr());
}

at::Tensor StepDecision::member(size_t offset, at::ScalarType type) const {
  return control_
      .narrow(0, static_cast<int64_t>(offset), static_cast<int64_t>(c10::elementSize(type)))
      .view(type)
      .squeeze(0);
}

at::Tensor StepDecision::skipped() const {
  return member(offsetof(StepControl, skip), at::kInt);
}

at::Tensor StepDecision::fault() const {
  return member(offsetof(StepControl, fault), at::kInt);
}

void StepDecision::set_counters(int64_t applied, int64_t skipped_in_a_row) {
  StepControl c = control();
  c.applied = applied;
  c.skipped_in_a_row = skipped_in_a_row;
  write(c);
}

void StepDecision::write(const StepControl& control) {
  if (control_.is_meta()) return;
  at::Tensor host = at::empty({static_cast<int64_t>(sizeof(control))}, at::kByte);
  std::memcpy(host.mutable_data_ptr(), &control, sizeof(control));
  control_.copy_(host);
}

}  // namespace lmms::optim
