#include "optim/adamw.h"

#include <ATen/ops/full.h>
#include <ATen/ops/scalar_tensor.h>
#include <gtest/gtest.h>

#include <limits>

namespace lmms::optim {
namespace {

using parallel::Bucket;
using parallel::BucketEntry;
using parallel::BucketLayout;

std::vector<Bucket> buckets(at::ScalarType dtype) {
  std::vector<Bucket> out;
  out.emplace_back(BucketLayout{"a", dtype, at::kFloat, true},
                   std::vector<BucketEntry>{{"matrix", {3, 5}, true}, {"norm", {7}, false}},
                   at::kCPU);
  out.emplace_back(BucketLayout{"b", dtype, at::kFloat, false},
                   std::vector<BucketEntry>{{"frozen", {4}, true}}, at::kCPU);
  for (Bucket& b : out) {
    b.weights().fill_(1);
    if (b.masters().defined()) b.masters().fill_(1);
  }
  return out;
}

at::Tensor loss(double value) {
  return at::scalar_tensor(value, at::kFloat);
}

TEST(Adamw, decays_matrices_alone_unless_asked_for_everything) {
  for (bool everything : {false, true}) {
    auto memory = buckets(at::kFloat);
    OptimizerConfig config;
    config.weight_decay = 0.5;
    Adamw adamw(memory, config, everything);
    adamw.step(0.1, loss(1));  // gradients are zero: what moves is decay
    EXPECT_FLOAT_EQ(memory[0].weight(0).max().item<float>(), 0.95f);
    EXPECT_FLOAT_EQ(memory[0].weight(1).max().item<float>(), everything ? 0.95f : 1.0f);
  }
}

TEST(Adamw, keeps_fp32_masters_under_bf16_weights) {
  auto memory = buckets(at::kBFloat16);
  Adamw adamw(memory, {}, false);
  memory[0].gradients().fill_(1);
  for (int i = 0; i < 3; ++i) adamw.step(1e-4, loss(1));
  EXPECT_NEAR(memory[0].master(0).mean().item<double>(), 1 - 3e-4, 1e-6);
  EXPECT_TRUE(memory[0].weights().equal(memory[0].masters().to(at::kBFloat16)));
}

TEST(Adamw, leaves_frozen_buckets_alone) {
  auto memory = buckets(at::kFloat);
  OptimizerConfig config;
  config.weight_decay = 0.5;
  Adamw adamw(memory, config, true);
  memory[0].gradients().fill_(1);
  adamw.step(0.1, loss(1));
  EXPECT_FALSE(adamw.first_moment(1).defined());
  EXPECT_EQ(memory[1].weight(0).min().item<float>(), 1.0f);
}

TEST(Adamw, skips_a_step_whose_loss_or_gradient_is_not_finite) {
  auto memory = buckets(at::kFloat);
  Adamw adamw(memory, {}, false);
  const float inf = std::numeric_limits<float>::infinity();
  memory[0].gradients().fill_(1);
  adamw.step(0.1, loss(inf));
  memory[0].gradient(1).fill_(-inf);
  adamw.step(0.1, loss(1));
  EXPECT_EQ(adamw.control().skipped_in_a_row, 2);
  EXPECT_EQ(adamw.control().applied, 0);
  EXPECT_TRUE(memory[0].weight(0).equal(at::full({3, 5}, 1.0f)));
  EXPECT_EQ(adamw.first_moment(0).abs().max().item<float>(), 0.0f);
  memory[0].gradients().fill_(1);
  adamw.step(0.1, loss(1));
  EXPECT_EQ(adamw.control().skipped_in_a_row, 0);
  EXPECT_EQ(adamw.control().applied, 1);
}

TEST(Adamw, goes_on_with_the_counters_it_is_given) {
  auto memory = buckets(at::kFloat);
  Adamw adamw(memory, {}, false);
  adamw.set_counters(41, 2);
  adamw.step(0.1, loss(1));
  EXPECT_EQ(adamw.control().applied, 42);
  EXPECT_EQ(adamw.control().skipped_in_a_row, 0);
}

}  // namespace
}  // namespace lmms::optim
