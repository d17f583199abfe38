#include "nn/cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
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

// Tokens of each sequence in a plan: its group, or without groups its segment, has its number.
std::vector<int64_t> counts_of(const kernels::AttentionPlan& plan, size_t sequences) {
  std::vector<int64_t> counts(sequences, 0);
  for (size_t s = 0; s < plan.segments.size(); ++s) {
    const int32_t group = plan.segments[s].group;
    const size_t sequence = group >= 0 ? static_cast<size_t>(group) : s;
    TORCH_INTERNAL_ASSERT(sequence < sequences, "cache of ", sequences, " sequences, a segment of ",
                          "sequence ", sequence);
    counts[sequence] += plan.segments[s].queries;
  }
  return counts;
}

}  // namespace

MixerCache::Slot& MixerCache::slot_at(size_t slot) {
  if (slot >= slots_.size()) slots_.resize(slot + 1);
  return slots_[slot];
}

void MixerCache::extend(const kernels::AttentionPlan& plan, at::Device device) {
  empty_before_ = std::all_of(lengths_.begin(), lengths_.end(), [](int64_t n) { return n == 0; });
  const std::vector<int64_t> counts = counts_of(plan, lengths_.size());
  TORCH_INTERNAL_ASSERT(empty_before_ || (plan.uniform && plan.segments.size() == counts.size()),
                        "cache of ", lengths_.size(), " sequences, tokens in ",
                        plan.segments.size(), " segments",
                        plan.uniform ? "" : ", in several modes or groups");
  announced_ = counts;
  windows_count_ = plan.causal;
  longest_ = 0;
  for (size_t b = 0; b < counts.size(); ++b) {
    TORCH_INTERNAL_ASSERT(empty_before_ || (counts[b] > 0 && counts[b] == counts.front()));
    longest_ = std::max(longest_, lengths_[b] + counts[b]);
  }
  if (longest_ > capacity_) capacity_ = rounded_up(std::max(longest_, capacity_ + capacity_ / 2));
  std::vector<int64_t> rows, limits;
  for (size_t b = 0; b < counts.size(); ++b) {
    for (int64_t i = 0; i < counts[b]; ++i) {
      limits.push_back(lengths_[b] + (plan.causal ? i : counts[b] - 1));
      rows.push_back(static_cast<int64_t>(b) * capacity_ + lengths_[b] + i);
    }
    lengths_[b] += counts[b];
  }
  rows_ = kernels::on_device(rows, at::kLong, device);
  visible_.clear();
  input_rows_.clear();
  if (!empty_before_) {
    limits_ = kernels::on_device(limits, at::kLong, device)
                  .view({static_cast<int64_t>(lengths_.size()), counts.front()});
  }
}

void MixerCache::make_room(Slot& slot, const at::Tensor& k) const {
  if (slot.keys.defined() && slot.keys.size(1) >= capacity_) return;
  const auto B = static_cast<int64_t>(lengths_.size());
  for (at::Tensor* kept : {&slot.keys, &slot.values}) {
    // zeros: what is masked must still be finite
    at::Tensor wider = at::zeros({B, capacity_, k.size(1), k.size(2)}, k.options());
    if (kept->defined()) wider.narrow(1, 0, kept->size(1)).copy_(*kept);
    *kept = std::move(wider);
  }
}

const at::Tensor& MixerCache::visible(int64_t window) {
  at::Tensor& mask = visible_[window];
  if (!mask.defined()) {
    const at::Tensor key = at::arange(longest_, limits_.options());  // [longest]
    const at::Tensor limit = limits_.unsqueeze(-1);                  // [B, n, 1]
    mask = key <= limit;
    if (window > 0) mask = mask.logical_and(key > limit - window);
  }
  return mask;
}

at::Tensor MixerCache::attend(size_t slot, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const kernels::AttentionPlan& plan,
                              const kernels::AttentionShape& shape) {
  Slot& kept = slot_at(slot);
  make_room(kept, k);
  const auto B = static_cast<int64_t>(lengths_.size());
  kept.keys.view({B * capacity_, k.size(1), k.size(2)}).index_copy_(0, rows_, k);
  kept.values.view({B * capacity_, v.size(1), v.size(2)}).index_copy_(0, rows_, v);
  if (empty_before_) return kernels::attention(q, k, v, plan, shape);
  const at::Tensor out = kernels::cached_attention(
      q.view({B, announced_.front(), q.size(1), q.size(2)}), kept.keys.narrow(1, 0, longest_),
      kept.values.narrow(1, 0, longest_), visible(windows_count_ ? shape.window : 0), shape.scale);
  return out.reshape(q.sizes());  // of several sequences it is strided
}

const MixerCache::InputRows& MixerCache::input_rows(int64_t taps) {
  InputRows& rows = input_rows_[taps];
  if (rows.taken.defined()) return rows;
  const int64_t before = taps - 1;
  // rows of [kept inputs of all sequences; announced ones]
  int64_t next_kept = 0, next_new = before * static_cast<int64_t>(announced_.size());
  std::vector<int64_t> taken, kept;
  for (const int64_t n : announced_) {
    for (int64_t i = 0; i < before; ++i) taken.push_back(next_kept++);
    for (int64_t i = 0; i < n; ++i) taken.push_back(next_new++);
    for (int64_t i = before; i > 0; --i) kept.push_back(static_cast<int64_t>(taken.size()) - i);
  }
  rows.taken = kernels::on_device(taken, at::kLong, rows_.device());
  rows.kept = kernels::on_device(kept, at::kLong, rows_.device());
  return rows;
}

at::Tensor MixerCache::with_inputs_before(size_t slot, const at::Tensor& x, int64_t taps) {
  at::Tensor& kept = slot_at(slot).inputs;
  const auto B = static_cast<int64_t>(lengths_.size());
  const int64_t C = x.size(1);
  if (!kept.defined()) kept = at::zeros({B, taps - 1, C}, x.options());
  TORCH_INTERNAL_ASSERT(kept.size(1) == taps - 1 && kept.size(2) == C, "cache: slot ", slot,
                        " keeps inputs ", kept.sizes(), ", asked for ", taps - 1, " of ", C);
  const InputRows& rows = input_rows(taps);
  const at::Tensor all = at::cat({kept.reshape({-1, C}), x}).index_select(0, rows.taken);
  kept = all.index_select(0, rows.kept).view({B, taps - 1, C});
  return all;
}

at::Tensor MixerCache::recurrent_state(size_t slot) const {
  return slot < slots_.size() ? slots_[slot].state : at::Tensor();
}

void MixerCache::keep_recurrent_state(size_t slot, at::Tensor state) {
  TORCH_INTERNAL_ASSERT(state.size(0) == std::ssize(lengths_), "cache of ", lengths_.size(),
                        " sequences, a state ", state.sizes());
  slot_at(slot).state = std::move(state);
}

void MixerCache::keep(std::span<const int64_t> sequences) {
  std::vector<int64_t> lengths;
  for (int64_t b : sequences) lengths.push_back(lengths_[static_cast<size_t>(b)]);
  lengths_ = std::move(lengths);
  const std::vector<int64_t> index(sequences.begin(), sequences.end());
  for (Slot& slot : slots_) {
    for (at::Tensor* kept : {&slot.keys, &slot.values, &slot.inputs, &slot.state}) {
      if (kept->defined())
        *kept = kept->index_select(0, kernels::on_device(index, at::kLong, kept->device()));
    }
  }
}

void MixerCache::truncate(int64_t length) {
  const bool shortens =
      std::any_of(lengths_.begin(), lengths_.end(), [&](int64_t n) { return n > length; });
  for (size_t s = 0; s < slots_.size() && shortens; ++s) {
    Slot& slot = slots_[s];
    TORCH_INTERNAL_ASSERT(length == 0 || !(slot.inputs.defined() || slot.state.defined()),
                          "cache: slot ", s, " keeps inputs or a state of ", lengths_,
                          " tokens, which cannot be taken back to ", length,
                          "; restore a snapshot that was taken there");
    slot.inputs.reset();
    slot.state.reset();
  }
  for (int64_t& n : lengths_) n = std::min(n, length);
}

MixerCache::Snapshot MixerCache::snapshot() const {
  Snapshot out{lengths_, {}, {}};
  for (const Slot& slot : slots_) {
    out.inputs.push_back(slot.inputs);
    out.states.push_back(slot.state);
  }
  return out;
}

void MixerCache::restore(const Snapshot& snapshot) {
  TORCH_INTERNAL_ASSERT(snapshot.lengths.size() == lengths_.size(), "cache of ", lengths_.size(),
                        " sequences, a snapshot of ", snapshot.lengths.size());
  for (size_t b = 0; b < lengths_.size(); ++b) {
    TORCH_INTERNAL_ASSERT(snapshot.lengths[b] <= lengths_[b], "cache: sequence ", b, " has ",
                          lengths_[b], " tokens, a snapshot of ", snapshot.lengths[b]);
  }
  lengths_ = snapshot.lengths;
  for (size_t s = 0; s < slots_.size(); ++s) {
    const bool known = s < snapshot.states.size();
    slots_[s].inputs = known ? snapshot.inputs[s] : at::Tensor();
    slots_[s].state = known ? snapshot.states[s] : at::Tensor();
  }
}

}  // namespace lmms::nn
