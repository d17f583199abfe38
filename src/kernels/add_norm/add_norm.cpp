#include "kernels/add_norm/add_norm.h"

#include <ATen/TensorOperators.h>

#include "kernels/rms_norm/rms_norm.h"

namespace lmms::kernels {

std::pair<at::Tensor, at::Tensor> add_norm(const at::Tensor& x, const at::Tensor& residual,
                                           const at::Tensor& w, double eps) {
  const at::Tensor sum = residual + x;
  return {rms_norm(sum, w, eps), sum};
}

}  // namespace lmms::kernels
