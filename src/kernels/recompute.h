#pragma once
/// What ops pass to each other besides values: weights with the place of their gradient, and ways
/// to recompute an activation.
#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

namespace lmms::kernels {

/// A weight and the memory that its gradient is added to in backward. Undefined `slot`: autograd
/// gets the gradient.
struct Weight {
  at::Tensor value;
  at::Tensor slot;  ///< of value's shape, in any float dtype

  bool defined() const { return value.defined(); }
};

/// A tensor as autograd's Functions take one that may be undefined.
inline std::optional<at::Tensor> if_defined(const at::Tensor& t) {
  return t.defined() ? std::optional(t) : std::nullopt;
}

/// How to recompute a tensor, with the same bits, from tensors that are kept anyway: in backward it
/// costs a pass over memory, and between forward and backward nothing. Empty: the tensor is kept.
struct Recompute {
  std::vector<at::Tensor> kept;
  at::Tensor (*run)(const std::vector<at::Tensor>& kept, double number) = nullptr;
  double number = 0;  ///< whatever else `run` needs

  explicit operator bool() const { return run != nullptr; }
};

}  // namespace lmms::kernels
