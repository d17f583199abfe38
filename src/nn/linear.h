#pragma once
/// Products with weights, and lookups: adapters, FP8 and tensor parallelism attach here and nowhere
/// else.
#include <ATen/core/Tensor.h>

#include "kernels/activation/activation.h"
#include "kernels/embedding/embedding.h"
#include "kernels/norm/norm.h"
#include "nn/param.h"
#include "nn/run.h"

namespace lmms::nn {

/// y = x W^T + b. W [out, in], b [out] or none.
struct Linear {
  const Param* weight = nullptr;
  const Param* bias = nullptr;

  /// x [..., in] -> [..., out].
  at::Tensor operator()(const at::Tensor& x) const;
  /// Of a normalised tensor, which backward makes again unless everything is kept.
  at::Tensor operator()(const kernels::Normed& x, const UnitRun& how) const;
  /// Of an activation, which backward makes again.
  at::Tensor after(kernels::Activation kind, const at::Tensor& u, const UnitRun& how) const;
  bool trains() const { return weight->trainable || (bias != nullptr && bias->trainable); }
};

struct Embedding {
  const Param* weight = nullptr;  ///< [V, H]

  /// ids [T] int32 -> [T, H]. `plan`: that of `ids`, or none.
  at::Tensor operator()(const at::Tensor& ids, const kernels::EmbeddingPlan& plan = {}) const;
};

/// RMSNorm, or LayerNorm where there is a bias.
struct Norm {
  const Param *weight = nullptr, *bias = nullptr;  ///< [D]
  double eps = 1e-6;

  /// Of hidden + delta; `delta` may be undefined. `sum` of the result is what was normalised.
  kernels::Normed operator()(const at::Tensor& hidden, const at::Tensor& delta,
                             const UnitRun& how) const;
  bool trains() const { return weight->trainable || (bias != nullptr && bias->trainable); }
};

}  // namespace lmms::nn
