#pragma once
/// Shapes are part of the type: read and checked at the border of a function in one line.
#include <ATen/core/Tensor.h>

#include <array>
#include <string>

#include "core/error.h"

namespace lmms::kernels {

/// The N sizes of `x`; throws Error naming the tensor if it has another number of dimensions.
///     auto [T, H, D] = dims<3>(q, "q");
template <size_t N>
std::array<int64_t, N> dims(const at::Tensor& x, const char* name) {
  if (x.dim() != static_cast<int64_t>(N)) {
    std::string got;
    for (int64_t size : x.sizes()) got += (got.empty() ? "" : ", ") + std::to_string(size);
    throw Error(name, "expected " + std::to_string(N) + " dims, got [" + got + "]", "",
                Exit::failed);
  }
  std::array<int64_t, N> out{};
  for (size_t i = 0; i < N; ++i) out[i] = x.size(static_cast<int64_t>(i));
  return out;
}

}  // namespace lmms::kernels
