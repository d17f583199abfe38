#include "kernels/linear_loss/linear_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/op_testing.h"
#include "kernels/work.h"

namespace lmms::kernels {
namespace {

using testing::expect_as_good_as;
using testing::random;
using testing::Tensors;

at::Tensor plain(const at::Tensor& h, const at::Tensor& W, const at::Tensor& targets,
                 const at::Tensor& weights, double label_smoothing = 0, double z_loss = 0) {
  const at::ScalarType wide = h.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor x = at::linear(h, W).to(wide), logp = at::log_softmax(x, -1);
  const at::Tensor nll = -logp.gather(1, targets.unsqueeze(1)).squeeze(1);
  const at::Tensor each = nll * (1 - label_smoothing) - logp.mean(1) * label_smoothing +
                          at::logsumexp(x, 1).square() * z_loss;
  return (each * weights.to(wide)).sum();
}

struct Problem {
  at::Tensor h, W, targets, weights;
};

Problem problem(int64_t N, int64_t V, int64_t H, at::ScalarType dtype) {
  return {random("h", {N, H}, dtype) * 2.0, random("W", {V, H}, dtype) * 2.0,
          ((random("t", {N}) + 1.0) * 0.5 * static_cast<double>(V))
              .floor()
              .clamp(0, V - 1)
              .to(at::kLong),
          (random("w", {N}) + 1.5)};
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

class LinearLoss : public ::testing::TestWithParam<std::tuple<at::ScalarType, int64_t>> {};

TEST_P(LinearLoss, equals_log_softmax_of_the_whole_matrix) {
  const auto [dtype, rows] = GetParam();
  constexpr int64_t kV = 37;
  const Problem p = problem(13, kV, 8, dtype);
  LinearLossOptions options;
  options.chunk_bytes = 4 * kV * rows;
  expect_as_good_as(
      [&](const Tensors& t) { return linear_loss(t[0], t[1], p.targets, p.weights, options); },
      [&](const Tensors& t) { return plain(t[0], t[1], p.targets, p.weights); }, {p.h, p.W});
}

INSTANTIATE_TEST_SUITE_P(Cases, LinearLoss,
                         ::testing::Combine(::testing::Values(at::kFloat, at::kBFloat16),
                                            ::testing::Values(1, 5, 13, 1000)));

TEST(LinearLossTerms, smooth_labels_and_hold_the_logits) {
  const Problem p = problem(13, 37, 8, at::kFloat);
  for (const auto& [e, z] : {std::pair(0.1, 0.0), std::pair(0.0, 0.01), std::pair(0.2, 0.02)}) {
    LinearLossOptions options;
    options.label_smoothing = e;
    options.z_loss = z;
    options.chunk_bytes = 4 * 37 * 5;
    expect_as_good_as(
        [&](const Tensors& t) { return linear_loss(t[0], t[1], p.targets, p.weights, options); },
        [&, e = e, z = z](const Tensors& t) {
          return plain(t[0], t[1], p.targets, p.weights, e, z);
        },
        {p.h, p.W});
  }
}

TEST(LinearLossSlot, adds_the_weight_gradient_into_the_slot_during_the_forward) {
  const Problem p = problem(9, 21, 6, at::kFloat);
  at::Tensor h = p.h.clone().set_requires_grad(true), W = p.W.clone().set_requires_grad(true);
  const at::Tensor expected = torch::autograd::grad({plain(h, W, p.targets, p.weights)}, {W})[0];
  LinearLossOptions options;
  options.weight_gradient = at::ones_like(W.detach());
  options.chunk_bytes = 4 * 21 * 4;
  const at::Tensor loss = linear_loss(h, W, p.targets, p.weights, options);
  torch::autograd::backward({loss}, {});
  EXPECT_LT(testing::relative_error(options.weight_gradient - 1.0, expected), 1e-6);
  EXPECT_FALSE(W.grad().defined()) << "autograd must not add it a second time";
  EXPECT_TRUE(h.grad().defined());
}

TEST(LinearLossEdges, scales_gradients_by_what_comes_from_above) {
  const Problem p = problem(4, 11, 6, at::kFloat);
  at::Tensor h = p.h.clone().set_requires_grad(true), W = p.W.clone().set_requires_grad(true);
  const auto once = torch::autograd::grad({linear_loss(h, W, p.targets, p.weights)}, {h, W});
  const auto thrice =
      torch::autograd::grad({linear_loss(h, W, p.targets, p.weights) * 3.0}, {h, W});
  for (size_t i = 0; i < 2; ++i) EXPECT_LT(testing::relative_error(thrice[i], once[i] * 3.0), 1e-6);
}

TEST(LinearLossEdges, without_rows_is_zero_with_zero_gradients) {
  const Problem p = problem(0, 11, 6, at::kFloat);
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
  const Problem p = problem(7, 19, 6, at::kFloat);
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
