#pragma once
/// Blocks whose norms and branches a condition modulates (adaLN-Zero; Peebles & Xie 2022).
#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/modulation/modulation.h"
#include "nn/mlp.h"
#include "nn/run.h"

namespace lmms::nn {

/// What a condition says to one half of a block, [S, H] fp32 each: to its norm, and how much of
/// what the half makes is added to the stream.
struct Modulation {
  at::Tensor shift, scale, gate;
};

/// Modulations of so many halves from one product [S, 3 * halves * H] in any dtype: shift, scale,
/// gate of the first, then of the second.
std::vector<Modulation> halves_of(const at::Tensor& product, int64_t halves);

/// The residual stream and what waits to be added to it, times its gate: the next norm reads all
/// and writes the sum, in one pass over memory. T tokens of width H, S samples. States of blocks
/// derive from it.
struct ModulatedResidual {
  at::Tensor hidden;        ///< [T, H] the stream, without
  at::Tensor delta;         ///< [T, H] what the last half of a block made; undefined: nothing
  at::Tensor gate;          ///< [S, H] fp32, of delta; undefined with it
  kernels::TokenRows rows;  ///< which sample a token belongs to

  /// Adds gate * delta to the stream.
  void settle();
  /// norm(hidden + gate * delta) * (1 + scale) + shift, with a LayerNorm without weights; the sum
  /// is the stream from then on. shift, scale [S, H] fp32.
  kernels::Normed settle_through(const at::Tensor& shift, const at::Tensor& scale, double eps,
                                 const UnitRun& how);
};

/// stream += gate * mlp(norm(stream) * (1 + scale) + shift). Under Keep::attention both run again
/// in backward, from the stream; `mlp` outlives the backward pass.
void modulated_mlp_half(ModulatedResidual& stream, const Modulation& by, double eps, const Mlp& mlp,
                        const UnitRun& how);

}  // namespace lmms::nn
