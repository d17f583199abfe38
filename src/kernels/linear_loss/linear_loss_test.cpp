#include "kernels/linear_loss/linear_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "kernels/linear_loss/linear_loss_testing.h"
#include "kernels/op_testing.h"
#include "kernels/work.h"

namespace lmms::kernels {
namespace {

using testing::LinearLossProblem;
using testing::random;
using testing::Tensors;

LinearLossProblem problem(int64_t N, int64_t V, int64_t H) {
  return testing::problem_of({N, V, H, N, testing::kOnCpu}, at::kFloat, at::kCPU);
}
at::Tensor plain(const at::Tensor& h, const at::Tensor& W, const LinearLossProblem& p) {
  return testing::plain_linear_loss(h, W, p, {});
}

// Chunks of the fused path, one pass over logits each, counted on meta tensors.
class CountsPasses : public WorkListener {
 public:
  CountsPasses() { work_listener = this; }
  ~CountsPasses() override { work_listener = nullptr; }
  void pass(const Pass&) override { ++passes; }
  void product(const Product&) override {}
  void attention(const AttentionWork&) override {}
  int passes = 0;
};

int chunks(int64_t N, at::ScalarType slot) {
  constexpr int64_t kV = 151936, kH = 4096;
  const auto meta = [](at::ScalarType dtype) { return at::TensorOptions(at::kMeta).dtype(dtype); };
  LinearLossOptions options;
  options.weight_gradient = at::empty({kV, kH}, meta(slot));
  const at::Tensor h = at::empty({N, kH}, meta(at::kBFloat16)).set_requires_grad(true);
  const CountsPasses count;
  linear_loss(h, at::empty({kV, kH}, meta(at::kBFloat16)), at::empty({N}, meta(at::kLong)),
              at::empty({N}, meta(at::kFloat)), options);
  return count.passes;
}

TEST(LinearLossChunks, are_one_where_that_saves_the_sums_in_fp32) {
  EXPECT_EQ(chunks(4000, at::kBFloat16), 1);
  EXPECT_EQ(chunks(8192, at::kBFloat16), 1);
  EXPECT_EQ(chunks(8192, at::kFloat), 2);  // the slot itself is fp32
  EXPECT_EQ(chunks(12800, at::kBFloat16), 4);
}

class LinearLossOnCpu
    : public ::testing::TestWithParam<std::tuple<testing::LinearLossCase, at::ScalarType>> {};

TEST_P(LinearLossOnCpu, equals_log_softmax_of_the_whole_matrix) {
  const testing::LinearLossCase& c = std::get<0>(GetParam());
  const LinearLossProblem p = testing::problem_of(c, std::get<1>(GetParam()), at::kCPU);
  const LinearLossOptions options = testing::options_of(c, /*logit_bytes=*/4);
  testing::expect_as_good_as(
      [&](const Tensors& t) { return linear_loss(t[0], t[1], p.targets, p.weights, options); },
      [&](const Tensors& t) { return testing::plain_linear_loss(t[0], t[1], p, c); }, {p.h, p.W});
}

INSTANTIATE_TEST_SUITE_P(Cases, LinearLossOnCpu,
                         ::testing::Combine(::testing::ValuesIn(testing::cases_for(
                                                testing::kOnCpu, testing::kLinearLossCases)),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

TEST(LinearLossSlot, adds_the_weight_gradient_into_the_slot_during_the_forward) {
  const LinearLossProblem p = problem(9, 21, 6);
  at::Tensor h = p.h.clone().set_requires_grad(true), W = p.W.clone().set_requires_grad(true);
  const at::Tensor expected = torch::autograd::grad({plain(h, W, p)}, {W})[0];
  LinearLossOptions options;
  options.weight_gradient = at::ones_like(W.detach());
  options.chunk_bytes = 4 * 21 * 4;
  const at::Tensor loss = linear_loss(h, W, p.targets, p.weights, options);
  torch::autograd::backward({loss}, {});
  EXPECT_LT(testing::relative_error(options.weight_gradient - 1.0, expected), 1e-6);
  EXPECT_FALSE(W.grad().defined()) << "autograd must not add it a second time";
  EXPECT_TRUE(h.grad().defined());
}

TEST(LinearLossSlot, finds_a_loss_that_was_scaled) {
  testing::expect_scaled_losses_found(at::kFloat, at::kCPU);
}

TEST(LinearLossSlot, names_what_scaled_it_and_how_to_mend_it) {
  const LinearLossProblem p = problem(4, 11, 6);
  LinearLossOptions options;
  options.weight_gradient = at::zeros_like(p.W);
  const at::Tensor h = p.h.clone().set_requires_grad(true);
  try {
    torch::autograd::backward({linear_loss(h, p.W, p.targets, p.weights, options) * 3.0}, {});
    FAIL() << "not found";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("linear_loss: a loss term was scaled"));
    EXPECT_THAT(e.what(), ::testing::HasSubstr("upstream gradient 3"));
  }
}

// The kernels take addresses, not strides.
TEST(LinearLossEdges, refuses_targets_and_weights_in_another_order) {
  const LinearLossProblem p = problem(8, 11, 6);
  const auto every_second = [](const at::Tensor& t) { return t.slice(0, 0, 8, 2); };
  const at::Tensor h = p.h.narrow(0, 0, 4);
  EXPECT_THROW(linear_loss(h, p.W, every_second(p.targets), p.weights.narrow(0, 0, 4)), c10::Error);
  EXPECT_THROW(linear_loss(h, p.W, p.targets.narrow(0, 0, 4), every_second(p.weights)), c10::Error);
  EXPECT_THROW(linear_loss(h, p.W, p.targets.narrow(0, 0, 4), p.weights), c10::Error);
}

TEST(LinearLossEdges, scales_gradients_by_what_comes_from_above) {
  const LinearLossProblem p = problem(4, 11, 6);
  at::Tensor h = p.h.clone().set_requires_grad(true), W = p.W.clone().set_requires_grad(true);
  const auto once = torch::autograd::grad({linear_loss(h, W, p.targets, p.weights)}, {h, W});
  const auto thrice =
      torch::autograd::grad({linear_loss(h, W, p.targets, p.weights) * 3.0}, {h, W});
  for (size_t i = 0; i < 2; ++i) EXPECT_LT(testing::relative_error(thrice[i], once[i] * 3.0), 1e-6);
}

TEST(LinearLossEdges, without_rows_is_zero_with_zero_gradients) {
  const LinearLossProblem p = problem(0, 11, 6);
  at::Tensor h = p.h.clone().set_requires_grad(true), W = p.W.clone().set_requires_grad(true);
  const at::Tensor loss = linear_loss(h, W, p.targets, p.weights);
  EXPECT_EQ(loss.item<float>(), 0.0f);
  const auto gradients = torch::autograd::grad({loss}, {h, W});
  EXPECT_EQ(gradients[1].abs().max().item<float>(), 0.0f);
}

// The planner runs a step on meta tensors: what is allocated there is what a GPU will need.
TEST(LinearLossMeta, makes_gradients_of_the_right_shapes_without_computing) {
  const auto meta = [](at::IntArrayRef shape, at::ScalarType dtype) {
    return at::empty(shape, at::TensorOptions().dtype(dtype).device(at::kMeta));
  };
  at::Tensor h = meta({1000, 64}, at::kBFloat16).set_requires_grad(true),
             W = meta({4099, 64}, at::kBFloat16).set_requires_grad(true);
  LinearLossOptions options;
  options.chunk_bytes = 2 * 4099 * 300;
  const at::Tensor loss =
      linear_loss(h, W, meta({1000}, at::kLong), meta({1000}, at::kFloat), options);
  EXPECT_TRUE(loss.is_meta());
  const auto gradients = torch::autograd::grad({loss}, {h, W});
  EXPECT_EQ(gradients[0].sizes(), h.sizes());
  EXPECT_EQ(gradients[1].sizes(), W.sizes());
}

TEST(LinearLossEdges, without_grad_mode_gives_the_same_value_and_no_gradient) {
  const LinearLossProblem p = problem(7, 19, 6);
  at::Tensor h = p.h.clone().set_requires_grad(true);
  const at::Tensor with = linear_loss(h, p.W, p.targets, p.weights);
  const c10::NoGradGuard no_grad;
  const at::Tensor without = linear_loss(h, p.W, p.targets, p.weights);
  EXPECT_EQ(with.item<float>(), without.item<float>());
  EXPECT_FALSE(without.requires_grad());
}

TEST(LinearLossEdges, stays_finite_for_huge_logits) {
  const at::Tensor h = at::full({2, 4}, 1e4), W = random("W", {5, 4}) * 1e3;
  const at::Tensor loss = linear_loss(h, W, at::tensor(std::vector<int64_t>{0, 4}), at::ones({2}));
  EXPECT_TRUE(std::isfinite(loss.item<float>()));
}

}  // namespace
}  // namespace lmms::kernels
