#pragma once
/// What a decoder keeps of the tokens that it has seen, so that generation computes each of them
/// once.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "kernels/attention/attention.h"

namespace lmms::nn {

/// Keys and values of every layer for B sequences of different lengths. Memory comes with the first
/// tokens, in the number type and on the device of the layers, and grows as they need. Layers that
/// slide over a window keep everything too.
class KvCache {
 public:
  explicit KvCache(int64_t sequences) : lengths_(static_cast<size_t>(sequences), 0) {}

  /// Announces the tokens of the next forward: counts[b] >= 1 of sequence b, one sequence after
  /// another. Either nothing is kept yet, or every sequence gets the same number.
  void extend(std::span<const int64_t> counts, at::Device device);
  /// For layer `slot`, of the announced tokens: keeps k and v [T, Nkv, D] and lets q [T, Nq, D] see
  /// all of its own sequence up to itself, or the last `window` of it. `plan` has the announced
  /// tokens as segments. -> [T, Nq, D].
  at::Tensor attend(size_t slot, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const kernels::AttentionPlan& plan, double scale, int64_t window);

  /// Goes on with these sequences alone, ascending.
  void keep(std::span<const int64_t> sequences);
  /// Forgets all but the first `length` tokens of every sequence.
  void truncate(int64_t length);

  /// Tokens of each sequence, the announced ones included.
  const std::vector<int64_t>& lengths() const { return lengths_; }

 private:
  struct Layer {
    at::Tensor keys, values;  // [B, capacity, Nkv, D]
  };
  void make_room(Layer& layer, const at::Tensor& k) const;
  /// [B, n, longest]: which of the kept tokens each new one sees.
  const at::Tensor& visible(int64_t window);

  std::vector<int64_t> lengths_;
  int64_t longest_ = 0, capacity_ = 0;
  bool empty_before_ = true;  // the announced tokens
  int64_t announced_ = 0;     // of each sequence, where there were others before
  at::Tensor rows_;           // [T] int64 where the announced tokens go in [B * capacity]
  at::Tensor positions_;      // [B, n] int64 their places in their sequences
  std::map<int64_t, at::Tensor> visible_;  // by window
  std::vector<Layer> layers_;
};

}  // namespace lmms::nn
