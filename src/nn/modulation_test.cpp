#include "nn/modulation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linspace.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "nn/memory.h"
#include "nn/param_builder.h"

namespace lmms::nn {
namespace {

constexpr double kEps = 1e-6;

struct Half {
  ParamTable params;
  ModelMemory memory;
  DenseMlp mlp;

  Half() {
    const ParamBuilder build{params, "unit", "", 0.5};
    mlp = build.glu_mlp("mlp", 8, 16, false);
    memory = allocate(params, {at::kCPU, at::kBFloat16, at::kFloat});
    initialise(params, memory, 3);
  }
};

// [T, 8] for the stream, [S, 24] for what a condition says.
at::Tensor tokens(double end) {
  return at::linspace(-1, end, 56).view({7, 8}).to(at::kBFloat16).set_requires_grad(true);
}
at::Tensor said() {
  return at::linspace(-2, 1, 72).view({3, 24}).set_requires_grad(true);
}

TEST(Modulation, of_two_halves_takes_the_columns_in_turn) {
  const at::Tensor product = at::linspace(0, 11, 12).view({1, 12}).to(at::kBFloat16);
  const std::vector<Modulation> halves = halves_of(product, 2);
  ASSERT_EQ(halves.size(), 2U);
  EXPECT_TRUE(halves[1].shift.equal(at::linspace(6, 7, 2).view({1, 2})));
  EXPECT_TRUE(halves[1].gate.equal(at::linspace(10, 11, 2).view({1, 2})));
  EXPECT_TRUE(halves[0].scale.equal(at::linspace(2, 3, 2).view({1, 2})));
}

TEST(ModulatedResidual, of_a_norm_is_the_sum_that_was_normalised) {
  const Modulation by = halves_of(said(), 1)[0];
  ModulatedResidual stream{tokens(2), tokens(3), by.gate, kernels::equal_rows(3, 2)},
      settled = stream;
  settled.settle();
  const kernels::Normed normed = stream.settle_through(by.shift, by.scale, kEps, {});
  EXPECT_TRUE(stream.hidden.equal(settled.hidden));
  EXPECT_FALSE(stream.delta.defined() || stream.gate.defined() || settled.gate.defined());
  EXPECT_TRUE(normed.y.equal(settled.settle_through(by.shift, by.scale, kEps, {}).y));
}

TEST(ModulatedMlpHalf, gives_the_same_bits_whatever_is_kept) {
  at::Tensor values, weights, hidden_gradient, condition_gradient;
  for (const Keep keep : {Keep::everything, Keep::products, Keep::attention}) {
    const Half half;
    const Scope opened = scope({}, "unit");
    const at::Tensor hidden = tokens(2), delta = tokens(3), condition = said();
    const Modulation by = halves_of(condition, 1)[0];
    // the last token belongs to no sample
    ModulatedResidual stream{hidden, delta, by.gate, kernels::equal_rows(3, 2)};
    modulated_mlp_half(stream, by, kEps, half.mlp, {keep, {}});
    stream.settle();
    torch::autograd::backward({(stream.hidden * stream.hidden).sum()}, {});
    const at::Tensor gradients = half.memory.buckets[0].whole().gradients;
    EXPECT_GT(gradients.abs().sum().item<double>(), 0);
    if (keep == Keep::everything) {
      values = stream.hidden;
      weights = gradients;
      hidden_gradient = hidden.grad();
      condition_gradient = condition.grad();
      continue;
    }
    EXPECT_TRUE(stream.hidden.equal(values));
    EXPECT_TRUE(gradients.equal(weights));
    EXPECT_TRUE(hidden.grad().equal(hidden_gradient));
    EXPECT_TRUE(condition.grad().equal(condition_gradient));
  }
}

}  // namespace
}  // namespace lmms::nn
