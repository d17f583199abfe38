#pragma once
/// The backward that ops with a product at their end share.
#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/custom_function.h>

#include <functional>

#include "kernels/linear/linear.h"

namespace lmms::kernels {

struct LinearGradients {
  at::Tensor dx, dweight, dbias;  ///< undefined where not wanted or added to a slot
};

/// What a node of y = x W^T + b keeps. W and b (if_defined) must be among the arguments of its
/// Function, for their gradients where they have no slot.
struct LinearNode {
  /// In forward. `kept`: that from which x is known in backward.
  static void keep(torch::autograd::AutogradContext* ctx, const LinearWeights& weights,
                   std::vector<at::Tensor> kept);
  /// In backward.
  explicit LinearNode(torch::autograd::AutogradContext* ctx);

  /// `x` is asked for only if the weight trains.
  LinearGradients gradients(const at::Tensor& dy, bool wants_x,
                            const std::function<at::Tensor()>& x) const;

  std::vector<at::Tensor> kept;
  at::Tensor weight, weight_slot, bias_slot;
  bool wants_weight = false, wants_bias = false;
};

}  // namespace lmms::kernels
