#pragma once
#include <ATen/core/Tensor.h>

#include "kernels/modulation/modulation_cases.h"

namespace lmms::kernels::testing {

/// The modulated norm with and without an addition and with its input carried on, and the gated sum
/// alone: values and gradients against their definitions.
void expect_modulation_matches(const ModulationCase& c, at::ScalarType dtype, at::Device device);

}  // namespace lmms::kernels::testing
