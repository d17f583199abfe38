#pragma once
#include "kernels/linear_loss/linear_loss_cases.h"

namespace lmms::kernels::testing {

LinearLossProblem problem_of(const LinearLossCase& c, at::ScalarType dtype, at::Device device);

/// The gradient slot of W wants an upstream gradient of 1: sums of losses pass, whatever scales one
/// is recorded in `fault`, and thrown where that is undefined.
void expect_scaled_losses_found(at::ScalarType dtype, at::Device device);

}  // namespace lmms::kernels::testing
