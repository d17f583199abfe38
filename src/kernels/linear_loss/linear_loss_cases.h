#pragma once
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>

#include <cmath>
#include <cstdint>
#include <ostream>

#include "kernels/linear_loss/linear_loss.h"
#include "kernels/op_cases.h"

namespace lmms::kernels::testing {

struct LinearLossCase {
  int64_t N, V, H;
  int64_t rows;  ///< of a chunk
  unsigned use;
  double label_smoothing = 0, z_loss = 0;
};
inline void PrintTo(const LinearLossCase& c, std::ostream* out) {
  *out << "N" << c.N << " V" << c.V << " H" << c.H << " rows" << c.rows << " e" << c.label_smoothing
       << " z" << c.z_loss;
}

inline constexpr LinearLossCase kLinearLossCases[] = {
    {1, 5, 8, 1, kOnBoth},
    {13, 37, 8, 1, kOnCpu},
    {13, 37, 8, 5, kOnBoth},
    {13, 37, 8, 13, kOnCpu},
    {13, 37, 8, 1000, kOnCpu},
    {13, 37, 8, 5, kOnCpu, 0.1, 0.0},
    {13, 37, 8, 5, kOnCpu, 0.0, 0.01},
    {13, 37, 8, 5, kOnCpu, 0.2, 0.02},
    {13, 1000, 24, 13, kOnBoth},
    {300, 4099, 64, 128, kOnBoth, 0.1, 0.01},
    {129, 8192, 64, 64, kOnGpu},
    {70, 16384, 64, 64, kOnGpu},
    {70, 32000, 136, 128, kOnGpu, 0.0, 1e-4},
    {70, 50257, 64, 128, kOnGpu},
    {200, 100000, 64, 128, kOnGpu, 0.05, 0.0},
    {300, 151936, 128, 128, kOnGpu, 0.1, 1e-4},
    {140, 151647, 64, 128, kOnGpu},
    {40, 262144, 64, 128, kOnGpu},
    {5, 327680, 64, 5, kOnGpu},
    {20000, 151936, 1024, 4096, kTimed},
    {20000, 151936, 4096, 4096, kTimed},
};

/// `logit_bytes`: 4 on the composition's path, 2 on the fused one.
inline LinearLossOptions options_of(const LinearLossCase& c, int64_t logit_bytes) {
  LinearLossOptions options;
  options.label_smoothing = c.label_smoothing;
  options.z_loss = c.z_loss;
  options.chunk_bytes = logit_bytes * c.V * c.rows;
  return options;
}

struct LinearLossProblem {
  at::Tensor h, W, targets, weights;
};

/// The definition over the whole matrix of logits, in fp64 for fp64 inputs and else in fp32.
inline at::Tensor plain_linear_loss(const at::Tensor& h, const at::Tensor& W,
                                    const LinearLossProblem& p, const LinearLossCase& c) {
  const at::ScalarType wide = h.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor x = at::linear(h, W).to(wide), logp = at::log_softmax(x, -1);
  const at::Tensor nll = -logp.gather(1, p.targets.unsqueeze(1)).squeeze(1);
  const at::Tensor each = nll * (1 - c.label_smoothing) - logp.mean(1) * c.label_smoothing +
                          at::logsumexp(x, 1).square() * c.z_loss;
  return (each * p.weights.to(wide)).sum();
}

}  // namespace lmms::kernels::testing
