#pragma once
/// Numbers for tests of kernels that need no tensor.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/rng.h"

namespace lmms::kernels::testing {

/// `n` normal numbers; another `stream`, other numbers.
inline std::vector<float> numbers(size_t n, uint32_t stream) {
  std::vector<float> out(n);
  for (size_t i = 0; i < n; ++i) {
    out[i] = static_cast<float>(
        rng::normal_pair(rng::philox({static_cast<uint32_t>(i), stream, 0, 0}, {1, 2})[0],
                         rng::philox({static_cast<uint32_t>(i), stream, 1, 0}, {1, 2})[0])[0]);
  }
  return out;
}

}  // namespace lmms::kernels::testing
