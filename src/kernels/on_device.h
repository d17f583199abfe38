#pragma once
/// Numbers of the host as a tensor on a device.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <vector>

namespace lmms::kernels {

/// [values.size()] of `dtype`, whose elements are T's. On a GPU from pinned memory, without
/// waiting.
template <class T>
at::Tensor on_device(const std::vector<T>& values, at::ScalarType dtype, at::Device device) {
  TORCH_INTERNAL_ASSERT(at::elementSize(dtype) == sizeof(T), "elements of ", sizeof(T),
                        " bytes as ", dtype);
  at::Tensor host = at::empty({static_cast<int64_t>(values.size())},
                              at::TensorOptions().dtype(dtype).pinned_memory(device.is_cuda()));
  if (!values.empty())
    std::memcpy(host.mutable_data_ptr(), values.data(), values.size() * sizeof(T));
  return host.to(device, /*non_blocking=*/true);
}

}  // namespace lmms::kernels
