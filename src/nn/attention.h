#pragma once
/// Grouped-query attention with rotary positions, causal within segments.
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "nn/linear.h"
#include "nn/mixer.h"
#include "nn/param.h"

namespace lmms::nn {

class Attention final : public Mixer {
 public:
  Linear qkv, output;
  const Param *q_norm = nullptr, *k_norm = nullptr;  ///< RMSNorm of each head, or none
  int64_t heads = 0, kv_heads = 0, head_dim = 0;
  int64_t window = 0;  ///< keys that a query sees; 0: all before it
  double eps = 1e-6;
  size_t slot = 0;  ///< of this layer in a cache

  at::Tensor operator()(const kernels::Normed& x, const DecoderState& state) const override;
  bool trains() const override;
  void count(ChainFlops& chain, std::span<const int64_t> lengths,
             double extra_pairs) const override;
};

}  // namespace lmms::nn
