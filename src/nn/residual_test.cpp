#include "nn/residual.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linspace.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "nn/memory.h"
#include "nn/mlp.h"
#include "nn/param_builder.h"

namespace lmms::nn {
namespace {

struct Half {
  ParamTable params;
  ModelMemory memory;
  Norm norm;
  DenseMlp mlp;

  Half() {
    const ParamBuilder build{params, "unit", "", 0.5};
    norm = build.norm("norm", 8);
    mlp = build.glu_mlp("mlp", 8, 16, false);
    memory = allocate(params, {at::kCPU, at::kBFloat16, at::kFloat});
    initialise(params, memory, 3);
  }
};

at::Tensor rows(double end) {
  return at::linspace(-1, end, 24).view({3, 8}).to(at::kBFloat16).set_requires_grad(true);
}

TEST(Residual, settles_what_waits_once) {
  Residual stream{at::full({2}, 1.0f), at::full({2}, 2.0f)};
  stream.settle();
  stream.settle();
  EXPECT_TRUE(stream.hidden.equal(at::full({2}, 3.0f)));
  EXPECT_FALSE(stream.delta.defined());
}

TEST(Residual, of_a_norm_is_the_sum_that_was_normalised) {
  const Half half;
  const Scope weights = scope({}, "unit");
  Residual stream{rows(2), rows(3)}, settled = stream;
  settled.settle();
  const kernels::Normed normed = stream.settle_through(half.norm, {});
  EXPECT_TRUE(stream.hidden.equal(settled.hidden));
  EXPECT_FALSE(stream.delta.defined());
  EXPECT_TRUE(normed.y.equal(half.norm(settled.hidden, {}, {}).y));
}

TEST(MlpHalf, gives_the_same_bits_whatever_is_kept) {
  at::Tensor values, weights, hidden_gradient, delta_gradient;
  for (const Keep keep : {Keep::everything, Keep::products, Keep::attention}) {
    const Half half;
    const Scope opened = scope({}, "unit");
    const at::Tensor hidden = rows(2), delta = rows(3);
    Residual stream{hidden, delta};
    mlp_half(stream, half.norm, half.mlp, {keep, {}});
    stream.settle();
    torch::autograd::backward({(stream.hidden * stream.hidden).sum()}, {});
    const at::Tensor gradients = half.memory.buckets[0].whole().gradients;
    EXPECT_GT(gradients.abs().sum().item<double>(), 0);
    if (keep == Keep::everything) {
      values = stream.hidden;
      weights = gradients;
      hidden_gradient = hidden.grad();
      delta_gradient = delta.grad();
      continue;
    }
    EXPECT_TRUE(stream.hidden.equal(values));
    EXPECT_TRUE(gradients.equal(weights));
    EXPECT_TRUE(hidden.grad().equal(hidden_gradient));
    EXPECT_TRUE(delta.grad().equal(delta_gradient));
  }
}

}  // namespace
}  // namespace lmms::nn
