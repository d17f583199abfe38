#pragma once
/// The CUDA kernels behind activation.h, in plain types.
#include <cstdint>

struct CUstream_st;

namespace lmms::kernels {

enum class ActivationKind : int32_t { silu_glu, gelu_tanh, gelu_erf };

/// h = activation(u); with `dh`, du = d activation(u)^T dh too. Rows contiguous, 16-byte aligned, I
/// a multiple of sixteen bytes. Bytes moved, in elements of T * I: 3 (silu_glu) or 2 forward; 5 or
/// 3 backward, one more with h.
struct ActivationArgs {
  const void* u = nullptr;
  const void* dh = nullptr;  ///< null: forward
  void* h = nullptr;         ///< may be null in backward
  void* du = nullptr;        ///< backward
  int64_t T = 0, I = 0;
  ActivationKind kind = ActivationKind::silu_glu;
  bool bf16 = true;  ///< else fp32
};
void activation_cuda(const ActivationArgs&, CUstream_st*);

}  // namespace lmms::kernels
