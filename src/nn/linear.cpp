#include "nn/linear.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>

#include "kernels/rms_norm/rms_norm.h"

namespace lmms::nn {

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return at::linear(x, weight->value, bias != nullptr ? std::optional(bias->value) : std::nullopt);
}

at::Tensor Embedding::operator()(const at::Tensor& ids) const {
  return at::embedding(weight->value, ids);
}

at::Tensor RmsNorm::operator()(const at::Tensor& x) const {
  return kernels::rms_norm(x, weight->value, eps);
}

}  // namespace lmms::nn
