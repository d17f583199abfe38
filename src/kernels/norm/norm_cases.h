#pragma once
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <ostream>

#include "kernels/op_cases.h"

namespace lmms::kernels::testing {

struct NormCase {
  int64_t T, D;
  unsigned use;
  bool layer = false;  ///< timed: LayerNorm in place of RMSNorm (tests take both)
};
inline void PrintTo(const NormCase& c, std::ostream* out) {
  *out << c.T << "x" << c.D;
}

inline constexpr NormCase kNormCases[] = {
    {1, 1, kOnBoth},       {3, 7, kOnBoth},
    {4, 7, kOnBoth},       {9, 24, kOnBoth},
    {65, 128, kOnBoth},    {2, 1000, kOnBoth},
    {1, 8, kOnBoth},       {3, 24, kOnBoth},
    {7, 1000, kOnBoth},    {65, 1024, kOnBoth},
    {33, 1152, kOnBoth},   {70, 1280, kOnBoth},
    {9, 2048, kOnBoth},    {3, 5120, kOnBoth},
    {5, 10240, kOnBoth},   {1000, 128, kOnGpu},
    {301, 4096, kOnGpu},   {32768, 1024, kTimed},
    {16384, 2048, kTimed}, {16384, 4096, kTimed},
    {50000, 1280, kTimed}, {50000, 1152, kTimed, true},
};

inline constexpr double kNormEps = 1e-6;

/// RMSNorm as transformers composes it.
inline at::Tensor plain_rms_norm(const at::Tensor& x, const at::Tensor& w) {
  const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor xf = x.to(wide);
  return w * (xf * (xf.pow(2).mean(-1, true) + kNormEps).rsqrt()).to(x.scalar_type());
}

}  // namespace lmms::kernels::testing
