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

TEST(Adamw, moves_and_decays_a_group_by_its_own_numbers) {
  auto memory = buckets(at::kFloat);
  OptimizerConfig config;
  config.weight_decay = 0.5;
  config.learning_rates = {{"a", 1.0, std::nullopt}, {"b", 1.0, 0.25}};
  // the second row of the matrix is in the first group, the third and the norm in the second
  const std::vector<std::vector<GroupStretch>> groups{
      {{5, 5, 1}, {10, parallel::kAlignment - 10, 2}, {parallel::kAlignment, 7, 2}}, {}};
  Adamw adamw(memory, config, /*decay_everything=*/false, groups);
  const std::vector<double> rates{0.1, 0.2, 0.4};
  adamw.step(rates, loss(1));  // gradients are zero: what moves is decay
  EXPECT_TRUE(memory[0].weight(0).select(0, 0).equal(at::full({5}, 1 - 0.1f * 0.5f)));
  EXPECT_TRUE(memory[0].weight(0).select(0, 1).equal(at::full({5}, 1 - 0.2f * 0.5f)));
  EXPECT_TRUE(memory[0].weight(0).select(0, 2).equal(at::full({5}, 1 - 0.4f * 0.25f)));
  EXPECT_TRUE(memory[0].weight(1).equal(at::full({7}, 1.0f))) << "norms do not decay";
}

TEST(Adamw, of_equal_groups_gives_the_bits_of_one) {
  auto one = buckets(at::kBFloat16), many = buckets(at::kBFloat16);
  OptimizerConfig config;
  config.weight_decay = 0.01;
  Adamw single(one, config, false);
  config.learning_rates = {{"a", 1.0, std::nullopt}, {"b", 1.0, std::nullopt}};
  const std::vector<std::vector<GroupStretch>> groups{{{1, 3, 1}, {4, 200, 2}}, {}};
  Adamw grouped(many, config, false, groups);
  for (int i = 1; i <= 3; ++i) {
    for (auto* memory : {&one, &many}) (*memory)[0].gradients().fill_(0.1 * i);
    single.step(1e-3, loss(1));
    grouped.step(std::vector<double>{1e-3, 1e-3, 1e-3}, loss(1));
  }
  EXPECT_TRUE(one[0].masters().equal(many[0].masters()));
  EXPECT_TRUE(one[0].weights().equal(many[0].weights()));
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
