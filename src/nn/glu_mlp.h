#pragma once
/// The gated MLP of decoders and vision towers.
#include "nn/linear.h"

namespace lmms::nn {

/// down(silu(gate(x)) * up(x)).
struct GluMlp {
  Linear gate_up, down;
  at::Tensor operator()(const kernels::Normed& x, const UnitRun& how) const;
};

}  // namespace lmms::nn
