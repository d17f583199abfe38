#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/device.h"
#include "kernels/gpu_testing.h"
#include "kernels/linear_loss/linear_loss.h"
#include "kernels/linear_loss/linear_loss_testing.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::LinearLossCase;
using testing::LinearLossProblem;
using testing::relative_error;

LinearLossProblem problem(const LinearLossCase& c) {
  return testing::problem_of(c, at::kBFloat16, at::Device(at::kCUDA, 0));
}
LinearLossOptions options_of(const LinearLossCase& c) {
  return testing::options_of(c, /*logit_bytes=*/2);
}

class LinearLossCuda : public testing::GpuTestWith<LinearLossCase> {
  std::string lacks() const override {
    return linear_loss_is_fused(best_device(0), at::kBFloat16, 8)
               ? ""
               : "no clusters of blocks: the composition serves this GPU";
  }
};

struct Result {
  at::Tensor loss, dh, dW;
};

template <class F>
Result outcome(const F& loss_of, const at::Tensor& h, const at::Tensor& W) {
  const at::Tensor a = h.detach().clone().set_requires_grad(true),
                   b = W.detach().clone().set_requires_grad(true);
  const at::Tensor loss = loss_of(a, b);
  const auto gradients = torch::autograd::grad({loss}, {a, b});
  return {loss.detach(), gradients[0], gradients[1]};
}

TEST_P(LinearLossCuda, is_as_good_as_the_composition) {
  const LinearLossCase c = GetParam();
  const LinearLossProblem p = problem(c);
  const Result truth =
      outcome([&](const at::Tensor& h,
                  const at::Tensor& W) { return testing::plain_linear_loss(h, W, p, c); },
              p.h.to(at::kDouble), p.W.to(at::kDouble));
  const auto fused_loss = [&](const at::Tensor& h, const at::Tensor& W) {
    return linear_loss(h, W, p.targets, p.weights, options_of(c));
  };
  const Result fused = outcome(fused_loss, p.h, p.W), second = outcome(fused_loss, p.h, p.W);
  LinearLossOptions one_chunk = options_of(c);
  one_chunk.chunk_bytes = 4 * c.V * std::max<int64_t>(c.N, 1);
  const Result plain = outcome(
      [&](const at::Tensor& h, const at::Tensor& W) {
        return linear_loss_reference(h, W, p.targets, p.weights, one_chunk);
      },
      p.h, p.W);
  EXPECT_TRUE(second.loss.equal(fused.loss) && second.dh.equal(fused.dh) &&
              second.dW.equal(fused.dW))
      << "other bits in the second run";
  EXPECT_LE(relative_error(fused.loss, truth.loss),
            2 * relative_error(plain.loss, truth.loss) + 1e-6);
  const double rounding = 1.0 / 256;
  EXPECT_LE(relative_error(fused.dh, truth.dh),
            2 * relative_error(plain.dh, truth.dh) + 0.1 * rounding);
  EXPECT_LE(relative_error(fused.dW, truth.dW),
            2 * relative_error(plain.dW, truth.dW) + 0.1 * rounding);
  const c10::NoGradGuard no_grad;
  EXPECT_TRUE(fused_loss(p.h, p.W).equal(fused.loss)) << "without gradients";
}

TEST_P(LinearLossCuda, adds_into_slots_of_either_type_what_autograd_would) {
  const LinearLossCase c = GetParam();
  const LinearLossProblem p = problem(c);
  const Result fused = outcome(
      [&](const at::Tensor& h, const at::Tensor& W) {
        return linear_loss(h, W, p.targets, p.weights, options_of(c));
      },
      p.h, p.W);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    LinearLossOptions options = options_of(c);
    options.weight_gradient = at::zeros_like(p.W, p.W.options().dtype(type));
    const at::Tensor h = p.h.clone().set_requires_grad(true),
                     W = p.W.clone().set_requires_grad(true);
    const at::Tensor loss = linear_loss(h, W, p.targets, p.weights, options);
    torch::autograd::backward({loss}, {});
    EXPECT_FALSE(W.grad().defined());
    EXPECT_TRUE(h.grad().equal(fused.dh));
    EXPECT_LE(relative_error(options.weight_gradient, fused.dW), 1.0 / 256);
    const at::Tensor once = options.weight_gradient.clone();
    (void)linear_loss(h, W, p.targets, p.weights, options);
    EXPECT_LE(relative_error(options.weight_gradient, once * 2.0), 1.0 / 256) << "adds";
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, LinearLossCuda,
                         ::testing::ValuesIn(testing::cases_for(testing::kOnGpu,
                                                                testing::kLinearLossCases)));

TEST_F(LinearLossCuda, finds_a_loss_that_was_scaled) {
  testing::expect_scaled_losses_found(at::kBFloat16, at::Device(at::kCUDA, 0));
  testing::expect_scaled_losses_found(at::kFloat, at::Device(at::kCUDA, 0));
}

TEST_F(LinearLossCuda, of_no_rows_is_zero_with_zero_gradients) {
  const LinearLossProblem p = problem({0, 100, 16, 1, testing::kOnGpu});
  const Result r =
      outcome([&](const at::Tensor& h,
                  const at::Tensor& W) { return linear_loss(h, W, p.targets, p.weights); },
              p.h, p.W);
  EXPECT_EQ(r.loss.item<float>(), 0.0f);
  EXPECT_EQ(r.dW.abs().max().item<float>(), 0.0f);
}

TEST_F(LinearLossCuda, says_nan_where_a_logit_is_none) {
  LinearLossProblem p = problem({64, 4096, 64, 64, testing::kOnGpu});
  p.h.select(0, 3).fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isnan(linear_loss(p.h, p.W, p.targets, p.weights).item<float>()));
}

}  // namespace
}  // namespace lmms::kernels
