#pragma once
/// Plain structs as the kernels of optimisers read them: tables on the device that are made once.
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/flat_ranges.h"
#include "kernels/on_device.h"

namespace lmms::optim {

/// The bytes of these rows on a device.
template <class T>
at::Tensor device_table(const std::vector<T>& rows, at::Device device) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<uint8_t> bytes(rows.size() * sizeof(T));
  if (!rows.empty()) std::memcpy(bytes.data(), rows.data(), bytes.size());
  return kernels::on_device(bytes, at::kByte, device);
}

template <class T>
const T* rows_of(const at::Tensor& table) {
  return static_cast<const T*>(table.const_data_ptr());
}

inline kernels::Stored stored_type(const at::Tensor& numbers) {
  return numbers.scalar_type() == at::kBFloat16 ? kernels::Stored::bf16 : kernels::Stored::f32;
}

/// The address of an element of a flat tensor.
inline void* element_of(const at::Tensor& flat, int64_t offset) {
  return static_cast<std::byte*>(flat.mutable_data_ptr()) +
         offset * static_cast<int64_t>(flat.element_size());
}

}  // namespace lmms::optim
