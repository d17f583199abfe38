#pragma once
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>

#include <cstdint>
#include <ostream>

#include "kernels/op_cases.h"

namespace lmms::kernels::testing {

struct RopeCase {
  int64_t T, N, D;
  unsigned use;
};
inline void PrintTo(const RopeCase& c, std::ostream* out) {
  *out << c.T << "x" << c.N << "x" << c.D;
}

/// The rotation alone is a composition of ATen's; qk_norm_rope_cases.h has those of the kernel.
inline constexpr RopeCase kRopeCases[] = {
    {1, 1, 2, kOnCpu}, {5, 3, 6, kOnCpu}, {17, 4, 64, kOnCpu}};

/// x cos + rotate_half(x) sin, as transformers composes it.
inline at::Tensor plain_rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const int64_t half = x.size(-1) / 2;
  const at::Tensor rotated = at::cat({-x.narrow(-1, half, half), x.narrow(-1, 0, half)}, -1);
  const at::Tensor c = at::cat({cos, cos}, -1).unsqueeze(1),
                   s = at::cat({sin, sin}, -1).unsqueeze(1);
  return x * c + rotated * s;
}

}  // namespace lmms::kernels::testing
