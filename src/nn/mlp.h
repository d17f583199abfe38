#pragma once
/// What a layer does to every token by itself.
#include <ATen/core/Tensor.h>

#include "nn/flops.h"
#include "nn/linear.h"

namespace lmms::nn {

/// The second half of a transformer block. One object serves many calls; it outlives the backward
/// pass, which may call it again.
class Mlp {
 public:
  virtual ~Mlp() = default;
  /// x [T, H] -> [T, H].
  virtual at::Tensor operator()(const kernels::Normed& x, const UnitRun& how) const = 0;
  virtual bool trains() const = 0;
  virtual void count(ChainFlops& chain, double tokens) const = 0;
};

/// down(activation(up(x))), one matrix for all tokens. Gated, `up` holds gate and up in one:
/// down(silu(gate(x)) * up(x)).
class DenseMlp final : public Mlp {
 public:
  Linear up, down;
  kernels::Activation activation = kernels::Activation::silu_glu;

  DenseMlp() = default;
  DenseMlp(Linear first, Linear second, kernels::Activation between)
      : up(first), down(second), activation(between) {}

  at::Tensor operator()(const kernels::Normed& x, const UnitRun& how) const override;
  bool trains() const override { return up.trains() || down.trains(); }
  void count(ChainFlops& chain, double tokens) const override;
};

}  // namespace lmms::nn
