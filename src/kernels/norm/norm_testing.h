#pragma once
#include "kernels/norm/norm_cases.h"

namespace lmms::kernels::testing {

/// RMSNorm alone, with an addition and with its input carried on, and LayerNorm with an addition:
/// values and gradients against their definitions.
void expect_norms_match(const NormCase& c, at::ScalarType dtype, at::Device device);

}  // namespace lmms::kernels::testing
