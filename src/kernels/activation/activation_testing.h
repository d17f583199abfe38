#pragma once
#include "kernels/activation/activation_cases.h"

namespace lmms::kernels::testing {

/// Every kind alone, and silu_glu in front of a product, against ATen's.
void expect_activations_match(const ActivationCase& c, at::ScalarType dtype, at::Device device);

}  // namespace lmms::kernels::testing
