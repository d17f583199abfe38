#pragma once
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <vector>

#include "core/rng.h"
#include "kernels/op_cases.h"

namespace lmms::kernels::testing {

struct EmbeddingCase {
  int64_t T, V, H;
  unsigned use;
};
inline void PrintTo(const EmbeddingCase& c, std::ostream* out) {
  *out << "T" << c.T << " V" << c.V << " H" << c.H;
}

inline constexpr EmbeddingCase kEmbeddingCases[] = {
    {0, 5, 8, kOnCpu},
    {1, 1, 8, kOnBoth},
    {7, 3, 24, kOnBoth},
    {64, 1, 16, kOnBoth},
    {129, 1, 8, kOnCpu},
    {1000, 151, 1032, kOnBoth},
    {5000, 40, 8, kOnCpu},
    {1000, 151936, 8, kOnCpu},
    {20000, 5000, 256, kOnGpu},
    {3000, 100, 4096, kOnGpu},
    {32768, 151936, 1024, kTimed},
    {32768, 151936, 4096, kTimed},
};

/// Ids of a tested case: every third is one frequent token.
inline std::vector<int32_t> ids_of(const EmbeddingCase& c) {
  std::vector<int32_t> ids(static_cast<size_t>(c.T));
  const auto V = static_cast<uint32_t>(c.V);
  for (size_t i = 0; i < ids.size(); ++i) {
    const uint32_t draw = rng::philox({static_cast<uint32_t>(i), 0, 0, 0}, {5, 6})[0];
    ids[i] = static_cast<int32_t>(i % 3 == 0 ? 7 % V : draw % V);
  }
  return ids;
}

}  // namespace lmms::kernels::testing
