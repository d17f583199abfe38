#include <algorithm>

#include "kernels/on_device.h"

namespace lmms::kernels {

at::Tensor upload(const void* numbers, at::IntArrayRef sizes, at::ScalarType dtype,
                  at::Device device) {
  constexpr int64_t kPiece = int64_t{32} << 20;
  const at::Tensor out = at::empty(sizes, at::TensorOptions(device).dtype(dtype));
  const auto bytes = static_cast<int64_t>(out.nbytes());
  if (bytes == 0) return out;
  if (!device.is_cuda()) {
    std::memcpy(out.mutable_data_ptr(), numbers, static_cast<size_t>(bytes));
    return out;
  }
  const at::Tensor flat = out.view({-1}).view(at::kByte);
  for (int64_t begin = 0; begin < bytes; begin += kPiece) {
    const int64_t n = std::min(kPiece, bytes - begin);
    const at::Tensor piece =
        at::empty({n}, at::TensorOptions().dtype(at::kByte).pinned_memory(true));
    std::memcpy(piece.mutable_data_ptr(), static_cast<const char*>(numbers) + begin,
                static_cast<size_t>(n));
    flat.narrow(0, begin, n).copy_(piece, /*non_blocking=*/true);
  }
  return out;
}

}  // namespace lmms::kernels
