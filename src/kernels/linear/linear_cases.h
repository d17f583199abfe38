#pragma once
#include <cstdint>
#include <ostream>

#include "kernels/op_cases.h"

namespace lmms::kernels::testing {

struct LinearCase {
  int64_t T, K, N;
  unsigned use;
};
inline void PrintTo(const LinearCase& c, std::ostream* out) {
  *out << c.T << "x" << c.K << " to " << c.N;
}

inline constexpr LinearCase kLinearCases[] = {
    {1, 8, 8, kOnBoth},          {33, 24, 40, kOnBoth},
    {300, 64, 32, kOnBoth},      {50000, 1280, 3840, kTimed},  // the gradient of the bias
    {16384, 2048, 2560, kTimed},
};

}  // namespace lmms::kernels::testing
