#pragma once
/// Numbers of the host as tensors on a device.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstring>
#include <vector>

namespace lmms::kernels {

/// [values.size()] of `dtype`, whose elements are T's. On a GPU from pinned memory, without
/// waiting; on the meta device the shape alone.
template <class T>
at::Tensor on_device(const std::vector<T>& values, at::ScalarType dtype, at::Device device) {
  TORCH_INTERNAL_ASSERT(at::elementSize(dtype) == sizeof(T), "elements of ", sizeof(T),
                        " bytes as ", dtype);
  if (device.is_meta())
    return at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions(device).dtype(dtype));
  at::Tensor host = at::empty({static_cast<int64_t>(values.size())},
                              at::TensorOptions().dtype(dtype).pinned_memory(device.is_cuda()));
  if (!values.empty())
    std::memcpy(host.mutable_data_ptr(), values.data(), values.size() * sizeof(T));
  return host.to(device, /*non_blocking=*/true);
}

/// The numbers of a contiguous tensor of these sizes, copied from anywhere on the host. To a GPU in
/// pieces through pinned memory, so that reading them and the copy overlap and nothing of the
/// tensor's size is taken on the host.
at::Tensor upload(const void* numbers, at::IntArrayRef sizes, at::ScalarType dtype,
                  at::Device device);

}  // namespace lmms::kernels
