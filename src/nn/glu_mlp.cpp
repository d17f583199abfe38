#include "nn/glu_mlp.h"

namespace lmms::nn {

at::Tensor GluMlp::operator()(const kernels::Normed& x, const UnitRun& how) const {
  return down.after(kernels::Activation::silu_glu, gate_up(x, how), how);
}

}  // namespace lmms::nn
