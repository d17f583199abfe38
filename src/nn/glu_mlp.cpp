#include "nn/glu_mlp.h"

#include "kernels/glu/glu.h"

namespace lmms::nn {

at::Tensor GluMlp::operator()(const at::Tensor& x) const {
  return down(kernels::silu_glu(gate_up(x)));
}

}  // namespace lmms::nn
