#pragma once
/// What a chain of products costs; blocks, mixers and MLPs count themselves with it.

namespace lmms::nn {

struct Param;

/// FLOPs of forward and backward of a chain of products, from its input on: two for each
/// multiply-add; gradients of inputs are counted from the first weight on that trains, gradients of
/// weights where they train. Recompute is not counted.
struct ChainFlops {
  double flops = 0;
  bool flows = false;  ///< backward goes on below this point

  void product(const Param& weight, double rows);
  /// Attention of width H (all heads) over this many pairs of query and key.
  void attention(double width, double pairs);
};

}  // namespace lmms::nn
