#pragma once
#include <cstdint>
#include <ostream>

#include "kernels/activation/activation.h"
#include "kernels/op_cases.h"

namespace lmms::kernels::testing {

struct ActivationCase {
  int64_t T, I;
  unsigned use;
  Activation kind = Activation::silu_glu;  ///< timed (tests take every kind)
};
inline void PrintTo(const ActivationCase& c, std::ostream* out) {
  *out << c.T << "x" << c.I;
}

inline constexpr ActivationCase kActivationCases[] = {
    {1, 1, kOnBoth},
    {1, 8, kOnBoth},
    {3, 7, kOnBoth},
    {33, 96, kOnBoth},
    {500, 3456, kOnGpu},
    {32768, 3072, kTimed},
    {16384, 12288, kTimed},
    {50000, 4304, kTimed, Activation::gelu_tanh},
    {50000, 4304, kTimed, Activation::gelu_erf},
};

}  // namespace lmms::kernels::testing
