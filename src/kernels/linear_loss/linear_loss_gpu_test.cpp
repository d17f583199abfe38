#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/device.h"
#include "kernels/gpu_testing.h"
#include "kernels/linear_loss/linear_loss.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;
using testing::relative_error;

struct Case {
  int64_t N, V, H, rows;  // rows of a chunk
  double label_smoothing = 0, z_loss = 0;
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << "N" << c.N << " V" << c.V << " H" << c.H << " rows" << c.rows << " e" << c.label_smoothing
       << " z" << c.z_loss;
}

struct Problem {
  at::Tensor h, W, targets, weights;
};

Problem problem(const Case& c) {
  const at::Device cuda(at::kCUDA, 0);
  const double scale = 6.0 / std::sqrt(static_cast<double>(c.H));
  return {(random("h", {c.N, c.H}) * 2.0).to(cuda).to(at::kBFloat16),
          (random("W", {c.V, c.H}) * scale).to(cuda).to(at::kBFloat16),
          ((random("t", {c.N}) + 1.0) * 0.5 * static_cast<double>(c.V))
              .floor()
              .clamp(0, c.V - 1)
              .to(at::kLong)
              .to(cuda),
          (random("w", {c.N}) + 1.5).to(cuda)};
}

// In fp64 on the GPU.
at::Tensor exact(const at::Tensor& h, const at::Tensor& W, const Problem& p, const Case& c) {
  const at::Tensor x = at::linear(h, W), logp = at::log_softmax(x, -1);
  const at::Tensor nll = -logp.gather(1, p.targets.unsqueeze(1)).squeeze(1);
  const at::Tensor each = nll * (1 - c.label_smoothing) - logp.mean(1) * c.label_smoothing +
                          at::logsumexp(x, 1).square() * c.z_loss;
  return (each * p.weights.to(at::kDouble)).sum();
}

LinearLossOptions options_of(const Case& c) {
  LinearLossOptions options;
  options.label_smoothing = c.label_smoothing;
  options.z_loss = c.z_loss;
  options.chunk_bytes = 2 * c.V * c.rows;
  return options;
}

class LinearLossCuda : public testing::GpuTestWith<Case> {
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
  const Case c = GetParam();
  const Problem p = problem(c);
  const Result truth =
      outcome([&](const at::Tensor& h, const at::Tensor& W) { return exact(h, W, p, c); },
              p.h.to(at::kDouble), p.W.to(at::kDouble));
  const auto fused_loss = [&](const at::Tensor& h, const at::Tensor& W) {
    return linear_loss(h, W, p.targets, p.weights, options_of(c));
  };
  const Result fused = outcome(fused_loss, p.h, p.W), again = outcome(fused_loss, p.h, p.W);
  LinearLossOptions one_chunk = options_of(c);
  one_chunk.chunk_bytes = 4 * c.V * std::max<int64_t>(c.N, 1);
  const Result plain = outcome(
      [&](const at::Tensor& h, const at::Tensor& W) {
        return linear_loss_reference(h, W, p.targets, p.weights, one_chunk);
      },
      p.h, p.W);
  EXPECT_TRUE(again.loss.equal(fused.loss) && again.dh.equal(fused.dh) && again.dW.equal(fused.dW))
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
  const Case c = GetParam();
  const Problem p = problem(c);
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

INSTANTIATE_TEST_SUITE_P(
    Cases, LinearLossCuda,
    ::testing::Values(Case{1, 5, 8, 1}, Case{13, 37, 8, 5}, Case{13, 1000, 24, 13},
                      Case{300, 4099, 64, 128, 0.1, 0.01}, Case{129, 8192, 64, 64},
                      Case{70, 16384, 64, 64}, Case{70, 32000, 136, 128, 0.0, 1e-4},
                      Case{70, 50257, 64, 128}, Case{200, 100000, 64, 128, 0.05, 0.0},
                      Case{300, 151936, 128, 128, 0.1, 1e-4}, Case{140, 151647, 64, 128},
                      Case{40, 262144, 64, 128}, Case{5, 327680, 64, 5}));

TEST_F(LinearLossCuda, of_no_rows_is_zero_with_zero_gradients) {
  const Problem p = problem({0, 100, 16, 1});
  const Result r =
      outcome([&](const at::Tensor& h,
                  const at::Tensor& W) { return linear_loss(h, W, p.targets, p.weights); },
              p.h, p.W);
  EXPECT_EQ(r.loss.item<float>(), 0.0f);
  EXPECT_EQ(r.dW.abs().max().item<float>(), 0.0f);
}

TEST_F(LinearLossCuda, says_nan_where_a_logit_is_none) {
  Problem p = problem({64, 4096, 64, 64});
  p.h.select(0, 3).fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isnan(linear_loss(p.h, p.W, p.targets, p.weights).item<float>()));
}

}  // namespace
}  // namespace lmms::kernels
