#include "nn/cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "kernels/on_device.h"

namespace lmms::nn {
namespace {

// Room grows by half, in steps of this many tokens.
constexpr int64_t kGranule = 64;

int64_t rounded_up(int64_t n) {
  return (n + kGranule - 1) / kGranule * kGranule;
}

}  // namespace

void KvCache::extend(std::span<const int64_t> counts, at::Device device) {
  TORCH_INTERNAL_ASSERT(counts.size() == lengths_.size(), "cache of ", lengths_.size(),
                        " sequences, tokens of ", counts.size());
  empty_before_ = std::all_of(lengths_.begin(), lengths_.end(), [](int64_t n) { return n == 0; });
  announced_ = counts.front();
  longest_ = 0;
  for (size_t b = 0; b < counts.size(); ++b) {
    TORCH_INTERNAL_ASSERT(counts[b] > 0 && (empty_before_ || counts[b] == announced_));
    longest_ = std::max(longest_, lengths_[b] + counts[b]);
  }
  if (longest_ > capacity_) capacity_ = rounded_up(std::max(longest_, capacity_ + capacity_ / 2));
  std::vector<int64_t> rows, positions;
  for (size_t b = 0; b < counts.size(); ++b) {
    for (int64_t i = 0; i < counts[b]; ++i) {
      positions.push_back(lengths_[b] + i);
      rows.push_back(static_cast<int64_t>(b) * capacity_ + lengths_[b] + i);
    }
    lengths_[b] += counts[b];
  }
  rows_ = kernels::on_device(rows, at::kLong, device);
  visible_.clear();
  if (!empty_before_) {
    positions_ = kernels::on_device(positions, at::kLong, device)
                     .view({static_cast<int64_t>(lengths_.size()), announced_});
  }
}

void KvCache::make_room(Layer& layer, const at::Tensor& k) const {
  if (layer.keys.defined() && layer.keys.size(1) >= capacity_) return;
  const auto B = static_cast<int64_t>(lengths_.size());
  for (at::Tensor* kept : {&layer.keys, &layer.values}) {
    // zeros: what is masked must still be finite
    at::Tensor wider = at::zeros({B, capacity_, k.size(1), k.size(2)}, k.options());
    if (kept->defined()) wider.narrow(1, 0, kept->size(1)).copy_(*kept);
    *kept = std::move(wider);
  }
}

const at::Tensor& KvCache::visible(int64_t window) {
  at::Tensor& mask = visible_[window];
  if (!mask.defined()) {
    const at::Tensor key = at::arange(longest_, positions_.options());  // [longest]
    const at::Tensor query = positions_.unsqueeze(-1);                  // [B, n, 1]
    mask = key <= query;
    if (window > 0) mask = mask.logical_and(key > query - window);
  }
  return mask;
}

at::Tensor KvCache::attend(size_t slot, const at::Tensor& q, const at::Tensor& k,
                           const at::Tensor& v, const kernels::AttentionPlan& plan, double scale,
                           int64_t window) {
  if (slot >= layers_.size()) layers_.resize(slot + 1);
  Layer& layer = layers_[slot];
  make_room(layer, k);
  const auto B = static_cast<int64_t>(lengths_.size());
  layer.keys.view({B * capacity_, k.size(1), k.size(2)}).index_copy_(0, rows_, k);
  layer.values.view({B * capacity_, v.size(1), v.size(2)}).index_copy_(0, rows_, v);
  if (empty_before_) return kernels::causal_attention(q, k, v, plan, scale, window);
  const at::Tensor out = kernels::cached_attention(
      q.view({B, announced_, q.size(1), q.size(2)}), layer.keys.narrow(1, 0, longest_),
      layer.values.narrow(1, 0, longest_), visible(window), scale);
  return out.view_as(q);
}

void KvCache::keep(std::span<const int64_t> sequences) {
  std::vector<int64_t> lengths;
  for (int64_t b : sequences) lengths.push_back(lengths_[static_cast<size_t>(b)]);
  lengths_ = std::move(lengths);
  const std::vector<int64_t> index(sequences.begin(), sequences.end());
  for (Layer& layer : layers_) {
    const at::Tensor kept = kernels::on_device(index, at::kLong, layer.keys.device());
    layer.keys = layer.keys.index_select(0, kept);
    layer.values = layer.values.index_select(0, kept);
  }
}

void KvCache::truncate(int64_t length) {
  for (int64_t& n : lengths_) n = std::min(n, length);
}

}  // namespace lmms::nn
