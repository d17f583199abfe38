#pragma once
/// Products with weights, and lookups: adapters, FP8 and tensor parallelism attach here and nowhere
/// else.
#include <ATen/core/Tensor.h>

#include "nn/param.h"

namespace lmms::nn {

/// y = x W^T + b. W [out, in], b [out] or none.
struct Linear {
  const Param* weight = nullptr;
  const Param* bias = nullptr;

  /// x [..., in] -> [..., out].
  at::Tensor operator()(const at::Tensor& x) const;
  bool trains() const { return weight->trainable || (bias != nullptr && bias->trainable); }
};

struct Embedding {
  const Param* weight = nullptr;  ///< [V, H]

  /// ids [T] int32 -> [T, H].
  at::Tensor operator()(const at::Tensor& ids) const;
};

struct RmsNorm {
  const Param* weight = nullptr;  ///< [D]
  double eps = 1e-6;

  at::Tensor operator()(const at::Tensor& x) const;
};

}  // namespace lmms::nn
