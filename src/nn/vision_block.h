#pragma once
/// The transformer block of vision towers (Qwen2.5-VL, Qwen3-VL, SigLIP). A family says which norm
/// and MLP it has, and which patches see each other.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "kernels/attention/attention.h"
#include "nn/linear.h"
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
  at::Tensor cos, sin;                       ///< [P, D / 2] fp32; undefined: queries don't turn
  std::shared_ptr<const VisionPlans> plans;  ///< shared: backward may run the block again
  UnitRun how;

  template <class F>
  void each(F f) {
    f(hidden);
    f(delta);
    f(cos);
    f(sin);
  }
};

/// x += attention(norm1(x)); x += mlp(norm2(x)).
struct VisionBlock {
  std::string name;
  Norm norm1, norm2;
  Linear qkv, proj;
  Linear up, down;  ///< `up` holds gate and up in one where the MLP is gated
  kernels::Activation activation = kernels::Activation::silu_glu;
  int64_t heads = 0;
  bool full = false;  ///< sees whole frames instead of windows

  VisionState operator()(const VisionState& state) const;
  at::Tensor mlp(const kernels::Normed& x, const UnitRun& how) const;
  bool trains() const;
};

/// FLOPs of forward and backward of a chain of products, from its input on: two for each
/// multiply-add; gradients of inputs are counted from the first weight on that trains, gradients of
/// weights where they train.
struct ChainFlops {
  double flops = 0;
  bool flows = false;  ///< backward goes on below this point

  void product(const Param& weight, double rows);
  /// Attention of width H over this many pairs of query and key.
  void attention(double width, double pairs);
  /// `pairs`: of patches that see each other.
  void block(const VisionBlock& block, double patches, double pairs);
};

}  // namespace lmms::nn
