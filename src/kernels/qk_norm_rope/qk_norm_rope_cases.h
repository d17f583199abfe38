#pragma once
#include <cstdint>
#include <ostream>

#include "kernels/op_cases.h"

namespace lmms::kernels::testing {

struct QkNormRopeCase {
  int64_t T, q_heads, k_heads, D;
  bool norm;
  unsigned use;
};
inline void PrintTo(const QkNormRopeCase& c, std::ostream* out) {
  *out << c.T << "x(" << c.q_heads << "+" << c.k_heads << ")x" << c.D << (c.norm ? " norm" : "");
}

inline constexpr QkNormRopeCase kQkNormRopeCases[] = {
    {6, 3, 3, 16, true, kOnCpu},       {1, 1, 1, 64, true, kOnCpu},
    {130, 4, 2, 128, true, kOnCpu},    {77, 4, 4, 80, false, kOnCpu},
    {200, 6, 2, 64, false, kOnCpu},    {32768, 16, 8, 128, true, kTimed},
    {16384, 32, 8, 128, true, kTimed}, {50000, 16, 16, 80, false, kTimed},
};

}  // namespace lmms::kernels::testing
