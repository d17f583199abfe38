#pragma once
/// How the tokens of a row learn of each other: the first half of a layer.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "nn/decoder_state.h"
#include "nn/flops.h"

namespace lmms::nn {

/// One object serves many calls; it outlives the backward pass, which may call it again.
class Mixer {
 public:
  virtual ~Mixer() = default;
  /// x [T, H], normalised -> [T, H]. Nothing crosses the borders of segments (state.attention).
  /// With a cache it sees what it kept of each sequence, and keeps what is new.
  virtual at::Tensor operator()(const kernels::Normed& x, const DecoderState& state) const = 0;
  virtual bool trains() const = 0;
  /// Of segments of these lengths. `extra_pairs`: of query and key, beyond those of causal segments
  /// that see themselves alone.
  virtual void count(ChainFlops& chain, std::span<const int64_t> lengths,
                     double extra_pairs) const = 0;
};

}  // namespace lmms::nn
