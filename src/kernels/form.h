#pragma once
/// Which implementation of an op is wanted.
#include <ATen/core/Tensor.h>

#include "kernels/meta_device.h"

namespace lmms::kernels {

/// fused: our kernel where the device has it and it takes the shapes, else the composition of
/// ATen's. plain: the composition always.
enum class Form { fused, plain };

/// Whether fused kernels exist for this tensor: bf16 or fp32 on a GPU, or on the meta device where
/// its tensors stand for those of a GPU (nothing is launched, all is allocated as there).
inline bool has_kernels(const at::Tensor& x) {
  return !computes_as_cpu(x.device()) && (x.is_cuda() || x.is_meta()) &&
         (x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kFloat);
}

}  // namespace lmms::kernels
