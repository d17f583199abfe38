#pragma once
/// What the layers of a decoder keep of the tokens that they have seen, so that generation computes
/// each of them once.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "kernels/attention/attention.h"

namespace lmms::nn {

/// What every layer keeps for B sequences of different lengths, in a slot of its own: keys and
/// values (attention), the last inputs (a convolution over tokens) or a state (a recurrence). A
/// slot keeps whatever its layer asks for, each at most once. Memory comes with the first tokens,
/// in the number type and on the device of the layers. Tokens are announced by extend(), then every
/// layer runs on them once.
class MixerCache {
 public:
  explicit MixerCache(int64_t sequences) : lengths_(static_cast<size_t>(sequences), 0) {}

  /// Announces the tokens of the next forward. Either nothing is kept yet: `plan` has a segment for
  /// each sequence, or several of one group, whose number is the sequence's; a sequence may have
  /// none. Or every sequence gets the same number of tokens, in a segment that sees itself alone.
  void extend(const kernels::AttentionPlan& plan, at::Device device);

  /// Keeps the keys and values k and v [T, Nkv, D] of the announced tokens and lets q [T, Nq, D]
  /// see those of its own sequence: in a causal segment all up to itself, or the last `window` of
  /// them; in one of another mode all. They grow as sequences need; under a window everything is
  /// kept too. -> [T, Nq, D].
  at::Tensor attend(size_t slot, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const kernels::AttentionPlan& plan, const kernels::AttentionShape& shape);

  /// For a convolution over `taps` tokens, itself the last: every sequence's announced inputs x [T,
  /// C] behind the taps - 1 before them, zeros where there are none: [T + B (taps - 1), C], one
  /// sequence after another. Keeps the last taps - 1 inputs of each.
  at::Tensor with_inputs_before(size_t slot, const at::Tensor& x, int64_t taps);

  /// The recurrent state [B, ...] that the tokens before the announced ones left; undefined if
  /// there were none.
  at::Tensor recurrent_state(size_t slot) const;
  /// What they leave behind the announced ones: a tensor that nobody changes later.
  void keep_recurrent_state(size_t slot, at::Tensor state);

  /// Goes on with these sequences alone, ascending.
  void keep(std::span<const int64_t> sequences);
  /// Forgets all but the first `length` tokens of every sequence. Where a convolution or a
  /// recurrence has seen more than that it cannot be taken back, but to 0; throws c10::Error:
  /// restore() a snapshot.
  void truncate(int64_t length);

  /// What it takes to come back to the tokens that are kept now. Cheap: tensors are shared.
  struct Snapshot {
    std::vector<int64_t> lengths;
    std::vector<at::Tensor> inputs, states;  ///< by slot
  };
  Snapshot snapshot() const;
  /// Forgets what was announced since the snapshot was taken of this cache, with the same
  /// sequences.
  void restore(const Snapshot& snapshot);

  /// Tokens of each sequence, the announced ones included.
  const std::vector<int64_t>& lengths() const { return lengths_; }

 private:
  struct Slot {
    at::Tensor keys, values;  // [B, capacity, Nkv, D]
    at::Tensor inputs;        // [B, taps - 1, C]
    at::Tensor state;         // [B, ...]
  };
  Slot& slot_at(size_t slot);
  void make_room(Slot& slot, const at::Tensor& k) const;
  // [B, n, longest]: which of the kept tokens each new one sees.
  const at::Tensor& visible(int64_t window);
  // Rows of what is kept and what is new that with_inputs_before() takes, and of its result that
  // are kept.
  struct InputRows {
    at::Tensor taken, kept;  // int64
  };
  const InputRows& input_rows(int64_t taps);

  std::vector<int64_t> lengths_;
  int64_t longest_ = 0, capacity_ = 0;
  bool empty_before_ = true;                 // the announced tokens
  std::vector<int64_t> announced_;           // of each sequence
  at::Tensor rows_;                          // [T] int64 where they go in [B * capacity]
  at::Tensor limits_;                        // [B, n] int64 the last place that each of them sees
  bool windows_count_ = true;                // the announced segments are causal
  std::map<int64_t, at::Tensor> visible_;    // by window
  std::map<int64_t, InputRows> input_rows_;  // by taps
  std::vector<Slot> slots_;
};

}  // namespace lmms::nn
