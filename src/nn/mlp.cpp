#include "nn/mlp.h"

namespace lmms::nn {

at::Tensor DenseMlp::operator()(const kernels::Normed& x, const UnitRun& how) const {
  return down.after(activation, up(x, how), how);
}

void DenseMlp::count(ChainFlops& chain, double tokens) const {
  chain.product(*up.weight, tokens);
  chain.product(*down.weight, tokens);
}

}  // namespace lmms::nn
