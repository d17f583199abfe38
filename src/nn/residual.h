#pragma once
/// The residual stream of transformer blocks, and the half of a block that is an MLP.
#include <ATen/core/Tensor.h>

#include "nn/linear.h"
#include "nn/mlp.h"
#include "nn/run.h"

namespace lmms::nn {

/// The stream and what waits to be added to it: the next norm reads both and writes the sum, which
/// is one pass over memory less. T tokens (or patches) of width H. States of blocks derive from it.
struct Residual {
  at::Tensor hidden;  ///< [T, H] the residual stream, without
  at::Tensor delta;   ///< [T, H] what the last half of a block adds to it; undefined: nothing

  /// Adds delta to the stream.
  void settle();
  /// norm(hidden + delta); the sum is the stream from then on.
  kernels::Normed settle_through(const Norm& norm, const UnitRun& how);
};

/// stream += mlp(norm(stream)). Under Keep::attention both run again in backward, from the stream;
/// `norm` and `mlp` outlive the backward pass.
void mlp_half(Residual& stream, const Norm& norm, const Mlp& mlp, const UnitRun& how);

}  // namespace lmms::nn
