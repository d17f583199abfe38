#pragma once
#include <ATen/core/Tensor.h>

#include "kernels/linear/linear_cases.h"

namespace lmms::kernels::testing {

/// A product behind a norm, whose result backward recomputes: the gradients of all weights add up
/// in slots of either type, and autograd sees none of them.
void expect_gradients_in_slots(const LinearCase& c, at::ScalarType dtype, at::Device device);

}  // namespace lmms::kernels::testing
