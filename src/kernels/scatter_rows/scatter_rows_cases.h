#pragma once
#include <cstdint>
#include <ostream>
#include <vector>

#include "core/rng.h"
#include "kernels/op_cases.h"

namespace lmms::kernels::testing {

struct ScatterRowsCase {
  int64_t T, H;
  double share;  ///< of the rows that are listed
  unsigned use;
};
inline void PrintTo(const ScatterRowsCase& c, std::ostream* out) {
  *out << c.T << "x" << c.H << ", " << c.share << " of the rows";
}

inline constexpr ScatterRowsCase kScatterRowsCases[] = {
    {1, 8, 1.0, kOnBoth},       {1, 8, 0.0, kOnBoth},       {5, 3, 0.5, kOnCpu},
    {33, 16, 0.5, kOnBoth},     {70, 7, 0.5, kOnBoth},      {1000, 72, 0.3, kOnBoth},
    {5001, 1024, 0.9, kOnGpu},  {5001, 1024, 0.01, kOnGpu}, {40000, 64, 0.6, kOnGpu},
    {3001, 3584, 1.0, kOnGpu},  {32768, 1024, 0.6, kTimed}, {32768, 2048, 0.6, kTimed},
    {32768, 4096, 0.6, kTimed},
};

/// The listed rows, ascending.
inline std::vector<int64_t> rows_of(const ScatterRowsCase& c) {
  std::vector<int64_t> rows;
  for (int64_t t = 0; t < c.T; ++t) {
    const uint32_t draw = rng::philox({static_cast<uint32_t>(t), 0, 0, 0}, {8, 9})[0];
    if (rng::unit(draw) <= c.share) rows.push_back(t);
  }
  return rows;
}

}  // namespace lmms::kernels::testing
