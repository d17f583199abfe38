#include "optim/adamw.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include "core/rng.h"
#include "kernels/device.h"
#include "kernels/on_device.h"
#include "kernels/work.h"

namespace lmms::optim {
namespace {

using kernels::AdamwControl;
using kernels::Stored;

static_assert(kMaxModuleRates + 1 == kernels::kAdamwGroups);

// What the host writes every step comes first in the struct, the loss behind it.
constexpr int64_t kHostBytes = offsetof(AdamwControl, loss);
static_assert(kHostBytes % sizeof(double) == 0);

Stored type_of(const at::Tensor& numbers) {
  return numbers.scalar_type() == at::kBFloat16 ? Stored::bf16 : Stored::f32;
}

std::byte* element(const at::Tensor& flat, int64_t offset) {
  return static_cast<std::byte*>(flat.mutable_data_ptr()) +
         offset * static_cast<int64_t>(flat.element_size());
}

// The bytes of plain structs on a GPU.
template <class T>
at::Tensor uploaded(const std::vector<T>& rows, at::Device device) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<uint8_t> bytes(rows.size() * sizeof(T));
  if (!rows.empty()) std::memcpy(bytes.data(), rows.data(), bytes.size());
  return kernels::on_device(bytes, at::kByte, device);
}

template <class T>
std::vector<int64_t> counts_of(const std::vector<T>& rows) {
  std::vector<int64_t> out;
  for (const T& row : rows) out.push_back(row.count);
  return out;
}

template <class T>
const T* rows_of(const at::Tensor& bytes) {
  return static_cast<const T*>(bytes.const_data_ptr());
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
             bool decay_everything, std::span<const std::vector<GroupStretch>> groups,
             uint64_t seed)
    : buckets_(buckets), config_(config), decay_everything_(decay_everything), seed_(seed) {
  int64_t partials = 0;
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const parallel::Bucket& bucket = buckets_[b];
    ranges_.push_back(
        ranges_of(bucket, groups.empty() ? std::span<const GroupStretch>() : std::span(groups[b])));
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
  if (!device.is_cpu()) make_tables(device);
}

std::vector<kernels::GradientSpan> Adamw::gradient_spans() const {
  std::vector<kernels::GradientSpan> out;
  for (const parallel::Bucket& bucket : buckets_) {
    if (!bucket.layout().trainable) continue;
    const at::Tensor& gradient = bucket.gradients();
    out.push_back({gradient.const_data_ptr(), gradient.numel(), type_of(gradient)});
  }
  return out;
}

std::vector<kernels::AdamwRange> Adamw::kernel_ranges() const {
  std::vector<kernels::AdamwRange> out;
  int64_t elements = 0;  // of the buckets before this one
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const parallel::Bucket& bucket = buckets_[b];
    for (const Range& range : ranges_[b]) {
      if (!bucket.layout().trainable) break;
      kernels::AdamwRange r;
      r.master = element(bucket.masters(), range.offset);
      r.first_moment = element(first_[b], range.offset);
      r.second_moment = element(second_[b], range.offset);
      r.gradient = element(bucket.gradients(), range.offset);
      r.gradient_type = type_of(bucket.gradients());
      r.state = type_of(bucket.masters());
      if (!bucket.masters().is_same(bucket.weights()))
        r.bf16_weights = element(bucket.weights(), range.offset);
      r.weight_decay = range.weight_decay;
      r.count = range.length;
      r.group = range.group;
      r.first = elements + range.offset;
      out.push_back(r);
    }
    elements += bucket.size();
  }
  return out;
}

void Adamw::make_tables(at::Device device) {
  const auto table = [&](const auto& rows, int64_t tile) {
    const auto tiles = kernels::tiles_of(counts_of(rows), tile);
    return Table{uploaded(rows, device), uploaded(tiles, device),
                 static_cast<int64_t>(tiles.size())};
  };
  spans_ = table(gradient_spans(), kernels::kNormBlock);
  updates_ = table(kernel_ranges(), kernels::kAdamwTile);
}

void Adamw::write_control(std::span<const double> learning_rates, const at::Tensor& loss) {
  AdamwControl given;
  std::copy(learning_rates.begin(), learning_rates.end(), given.learning_rates);
  given.groups = static_cast<int64_t>(learning_rates.size());
  given.beta1 = config_.adam_beta1;
  given.beta2 = config_.adam_beta2;
  given.epsilon = config_.adam_epsilon;
  given.max_norm = config_.max_grad_norm;
  const rng::Key key = rng::key(seed_, rng::Purpose::rounding);
  std::copy(key.begin(), key.end(), given.rounding_key);
  at::Tensor host = at::empty(
      {kHostBytes}, at::TensorOptions().dtype(at::kByte).pinned_memory(control_.is_cuda()));
  std::memcpy(host.mutable_data_ptr(), &given, kHostBytes);
  control_.narrow(0, 0, kHostBytes).copy_(host, /*non_blocking=*/true);
  control_.narrow(0, kHostBytes, sizeof(double))
      .view(at::kDouble)
      .squeeze(0)
      .copy_(loss, /*non_blocking=*/true);
}

void Adamw::step_on_cpu(kernels::GradientSlots slots) {
  auto* partials = partials_.mutable_data_ptr<double>();
  for (const kernels::GradientSpan& span : gradient_spans()) {
    kernels::sum_of_squares_cpu(span.gradient, span.type, span.count, partials);
    partials += kernels::norm_blocks(span.count);
  }
  auto* control = static_cast<AdamwControl*>(control_.mutable_data_ptr());
  kernels::adamw_decide_cpu(*control, partials_.const_data_ptr<double>(), partials_.numel());
  for (const kernels::AdamwRange& range : kernel_ranges())
    kernels::adamw_update_cpu(*control, range, slots);
}

void Adamw::step(std::span<const double> learning_rates, const at::Tensor& loss,
                 kernels::GradientSlots slots) {
  TORCH_INTERNAL_ASSERT(learning_rates.size() == config_.learning_rates.size() + 1,
                        learning_rates.size(), " learning rates for ",
                        config_.learning_rates.size() + 1, " groups");
  for (const double rate : learning_rates)
    TORCH_INTERNAL_ASSERT(std::isfinite(rate), "a learning rate of ", rate);
  const c10::NoGradGuard no_grad;
  write_control(learning_rates, loss);
  if (control_.is_cpu()) return step_on_cpu(slots);
  if (!control_.is_cuda()) return tell_passes();
  CUstream_st* stream = kernels::current_stream();
  auto* control = static_cast<AdamwControl*>(control_.mutable_data_ptr());
  kernels::sum_of_squares_cuda(rows_of<kernels::GradientSpan>(spans_.rows),
                               rows_of<kernels::Tile>(spans_.tiles), spans_.tile_count,
                               partials_.mutable_data_ptr<double>(), stream);
  kernels::adamw_decide_cuda(control, partials_.const_data_ptr<double>(), partials_.numel(),
                             stream);
  kernels::adamw_update_cuda(control, rows_of<kernels::AdamwRange>(updates_.rows),
                             rows_of<kernels::Tile>(updates_.tiles), updates_.tile_count, slots,
                             stream);
  kernels::check_last_launch("AdamW");
}

void Adamw::tell_passes() const {
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const parallel::Bucket& bucket = buckets_[b];
    if (!bucket.layout().trainable) continue;
    const at::Tensor &p = bucket.masters(), &g = bucket.gradients();
    const bool rounds = !p.is_same(bucket.weights());
    kernels::tell_pass({g}, 1.0);
    kernels::tell_pass({p, p, first_[b], first_[b], second_[b], second_[b], g,
                        rounds ? bucket.weights() : at::Tensor()},
                       p.scalar_type() == at::kBFloat16 ? 0.72 : 0.93);
  }
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
