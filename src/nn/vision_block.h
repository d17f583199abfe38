#pragma once
/// The transformer block of vision towers (Qwen2.5-VL, Qwen3-VL, SigLIP). A family says which norm
/// and MLP it has, and which patches see each other.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/attention/attention.h"
#include "nn/flops.h"
#include "nn/linear.h"
#include "nn/mlp.h"
#include "nn/residual.h"
#include "nn/run.h"

namespace lmms::nn {

/// Who sees whom, on the device.
struct VisionPlans {
  kernels::AttentionPlan windows;  ///< empty if no block sees windows alone
  kernels::AttentionPlan frames;
};

/// What crosses the blocks of a tower: the residual stream of P patches, heads of size D, and
struct VisionState : Residual {
  at::Tensor cos, sin;  ///< [P, D / 2] fp32; undefined: queries don't turn
  /// DeepStack: what was made of the stream on its way, for the decoder's first layers.
  std::vector<at::Tensor> features;
  std::shared_ptr<const VisionPlans> plans;  ///< shared: backward may run the block again
  UnitRun how;

  template <class F>
  void each(F f) {
    f(hidden);
    f(delta);
    f(cos);
    f(sin);
    for (at::Tensor& t : features) f(t);
  }
};

/// x += attention(norm1(x)); x += mlp(norm2(x)).
struct VisionBlock {
  std::string name;
  Norm norm1, norm2;
  Linear qkv, proj;
  DenseMlp mlp;
  int64_t heads = 0;
  bool full = false;  ///< sees whole frames instead of windows

  VisionState operator()(const VisionState& state) const;
  bool trains() const;
  /// Of so many patches; `pairs` of them see each other.
  void count(ChainFlops& chain, double patches, double pairs) const;
};

}  // namespace lmms::nn
