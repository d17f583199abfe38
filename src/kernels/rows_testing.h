#pragma once
/// Tables of plain structs on the GPU, as kernels read them.
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/on_device.h"

namespace lmms::kernels::testing {

/// The bytes of `rows` on the first GPU.
template <class T>
at::Tensor uploaded(const std::vector<T>& rows) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<uint8_t> bytes(rows.size() * sizeof(T));
  std::memcpy(bytes.data(), rows.data(), bytes.size());
  return on_device(bytes, at::kByte, at::Device(at::kCUDA, 0));
}

template <class T>
T* rows(const at::Tensor& bytes) {
  return static_cast<T*>(bytes.mutable_data_ptr());
}

}  // namespace lmms::kernels::testing
