#include "optim/adamw.h"

#include <ATen/ops/full.h>
#include <ATen/ops/scalar_tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

namespace lmms::optim {
namespace {

using parallel::Bucket;
using parallel::BucketEntry;
using parallel::BucketLayout;

std::vector<Bucket> buckets(at::ScalarType dtype) {
  std::vector<Bucket> out;
  out.emplace_back(BucketLayout{{"a", dtype, true}, at::kFloat},
                   std::vector<BucketEntry>{{"matrix", {3, 5}, true}, {"norm", {7}, false}},
                   at::kCPU);
  out.emplace_back(BucketLayout{{"b", dtype, false}, at::kFloat},
                   std::vector<BucketEntry>{{"frozen", {4}, true}}, at::kCPU);
  for (Bucket& b : out) {
    b.whole().weights.fill_(1);
    if (b.local().masters.defined()) b.local().masters.fill_(1);
  }
  return out;
}

/// AdamW and what decides its steps.
struct Training {
  Training(std::vector<Bucket>& memory, const OptimizerConfig& config, bool decay_everything,
           std::span<const std::vector<GroupRange>> groups = {})
      : decision(memory, config.max_grad_norm), adamw({memory, config, decay_everything, groups}) {}

  void step(std::span<const double> learning_rates, double loss = 1) {
    decision.decide(at::scalar_tensor(loss, at::kFloat));
    adamw.update(decision, learning_rates);
  }
  void step(double learning_rate, double loss = 1) { step({&learning_rate, 1}, loss); }
  at::Tensor moment(const std::string& name, size_t bucket) const {
    for (const OptimizerState& state : adamw.states())
      if (state.name == name) return state.flats.at(bucket);
    throw std::runtime_error(name);
  }

  StepDecision decision;
  Adamw adamw;
};

TEST(Adamw, decays_matrices_alone_unless_asked_for_everything) {
  for (bool everything : {false, true}) {
    auto memory = buckets(at::kFloat);
    OptimizerConfig config;
    config.weight_decay = 0.5;
    Training(memory, config, everything).step(0.1);  // gradients are zero: what moves is decay
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
  const std::vector<std::vector<GroupRange>> groups{
      {{5, 5, 1}, {10, parallel::kAlignment - 10, 2}, {parallel::kAlignment, 7, 2}}, {}};
  Training adamw(memory, config, /*decay_everything=*/false, groups);
  const std::vector<double> rates{0.1, 0.2, 0.4};
  adamw.step(rates);  // gradients are zero: what moves is decay
  EXPECT_TRUE(memory[0].weight(0).select(0, 0).equal(at::full({5}, 1 - 0.1f * 0.5f)));
  EXPECT_TRUE(memory[0].weight(0).select(0, 1).equal(at::full({5}, 1 - 0.2f * 0.5f)));
  EXPECT_TRUE(memory[0].weight(0).select(0, 2).equal(at::full({5}, 1 - 0.4f * 0.25f)));
  EXPECT_TRUE(memory[0].weight(1).equal(at::full({7}, 1.0f))) << "norms do not decay";
}

TEST(Adamw, of_equal_groups_gives_the_bits_of_one) {
  auto one = buckets(at::kBFloat16), many = buckets(at::kBFloat16);
  OptimizerConfig config;
  config.weight_decay = 0.01;
  Training single(one, config, false);
  config.learning_rates = {{"a", 1.0, std::nullopt}, {"b", 1.0, std::nullopt}};
  const std::vector<std::vector<GroupRange>> groups{{{1, 3, 1}, {4, 200, 2}}, {}};
  Training grouped(many, config, false, groups);
  for (int i = 1; i <= 3; ++i) {
    for (auto* memory : {&one, &many}) (*memory)[0].whole().gradients.fill_(0.1 * i);
    single.step(1e-3);
    grouped.step(std::vector<double>{1e-3, 1e-3, 1e-3});
  }
  EXPECT_TRUE(one[0].local().masters.equal(many[0].local().masters));
  EXPECT_TRUE(one[0].whole().weights.equal(many[0].whole().weights));
}

TEST(Adamw, keeps_fp32_masters_under_bf16_weights) {
  auto memory = buckets(at::kBFloat16);
  Training adamw(memory, {}, false);
  memory[0].whole().gradients.fill_(1);
  for (int i = 0; i < 3; ++i) adamw.step(1e-4);
  EXPECT_NEAR(memory[0].view(memory[0].local().masters, 0).mean().item<double>(), 1 - 3e-4, 1e-6);
  EXPECT_TRUE(memory[0].whole().weights.equal(memory[0].local().masters.to(at::kBFloat16)));
}

TEST(Adamw, leaves_frozen_buckets_alone) {
  auto memory = buckets(at::kFloat);
  OptimizerConfig config;
  config.weight_decay = 0.5;
  Training adamw(memory, config, true);
  memory[0].whole().gradients.fill_(1);
  adamw.step(0.1);
  EXPECT_FALSE(adamw.moment("first_moment", 1).defined());
  EXPECT_EQ(memory[1].weight(0).min().item<float>(), 1.0f);
}

TEST(Adamw, skips_a_step_whose_loss_or_gradient_is_not_finite) {
  auto memory = buckets(at::kFloat);
  Training adamw(memory, {}, false);
  const float inf = std::numeric_limits<float>::infinity();
  memory[0].whole().gradients.fill_(1);
  adamw.step(0.1, inf);
  memory[0].gradient(1).fill_(-inf);
  adamw.step(0.1);
  EXPECT_EQ(adamw.decision.control().skipped_in_a_row, 2);
  EXPECT_EQ(adamw.decision.control().applied, 0);
  EXPECT_TRUE(memory[0].weight(0).equal(at::full({3, 5}, 1.0f)));
  EXPECT_EQ(adamw.moment("first_moment", 0).abs().max().item<float>(), 0.0f);
  memory[0].whole().gradients.fill_(1);
  adamw.step(0.1);
  EXPECT_EQ(adamw.decision.control().skipped_in_a_row, 0);
  EXPECT_EQ(adamw.decision.control().applied, 1);
}

TEST(Adamw, goes_on_with_the_counters_it_is_given) {
  auto memory = buckets(at::kFloat);
  Training adamw(memory, {}, false);
  adamw.decision.set_counters(41, 2);
  adamw.step(0.1);
  EXPECT_EQ(adamw.decision.control().applied, 42);
  EXPECT_EQ(adamw.decision.control().skipped_in_a_row, 0);
}

TEST(Adamw, of_a_step_with_a_fault_changes_nothing) {
  auto memory = buckets(at::kFloat);
  Training adamw(memory, {}, false);
  memory[0].whole().gradients.fill_(1);
  adamw.decision.fault().fill_(static_cast<int32_t>(kernels::StepFault::scaled_loss));
  adamw.step(0.1);
  const kernels::StepControl control = adamw.decision.control();
  EXPECT_EQ(control.fault, static_cast<int32_t>(kernels::StepFault::scaled_loss));
  EXPECT_EQ(control.applied, 0);
  EXPECT_EQ(control.skipped_in_a_row, 0);
  EXPECT_EQ(adamw.decision.skipped().item<int32_t>(), 1);
  EXPECT_TRUE(memory[0].weight(0).equal(at::full({3, 5}, 1.0f)));
}

TEST(Adamw, of_two_shards_gives_the_bits_of_one_bucket) {
  const auto bucket = [](parallel::Shard shard) {
    return Bucket(BucketLayout{{"a", at::kFloat, true}, at::kFloat, true, shard},
                  {{"matrix", {30, 20}, true}, {"norm", {7}, false}}, at::kCPU);
  };
  // what element i of the bucket has
  const auto fill = [](Bucket& b, float scale) {
    const auto at = [&](int64_t i) { return scale * static_cast<float>((i * 37) % 101 - 50); };
    for (int64_t i = 0; i < b.local().length; ++i) {
      b.local().weights[i] = at(b.local().offset + i) / 50;
      b.local().gradients[i] = at(b.local().offset + i) / 1000;
    }
  };
  OptimizerConfig config;
  config.weight_decay = 0.1;
  config.max_grad_norm = 0;  // ranks do not exchange their norms here
  std::vector<Bucket> whole;
  whole.push_back(bucket({0, 1}));
  fill(whole[0], 1);
  Training(whole, config, false).step(0.1);
  for (int64_t index = 0; index < 2; ++index) {
    std::vector<Bucket> half;
    half.push_back(bucket({index, 2}));
    fill(half[0], 1);
    Training(half, config, false).step(0.1);
    const parallel::Local& local = half[0].local();
    EXPECT_GT(local.length, 0);
    const int64_t length = std::min(local.length, whole[0].size() - local.offset);
    EXPECT_TRUE(local.weights.narrow(0, 0, length)
                    .equal(whole[0].local().weights.narrow(0, local.offset, length)));
  }
}

TEST(Optimizers, are_made_by_name) {
  Registry<OptimizerFactory> registry("optimiser");
  register_optimizers(registry);
  auto memory = buckets(at::kFloat);
  const OptimizerConfig config;
  size_t built = 0;
  for (const config::Name& name : optimizer_names()) {
    const OptimizerFactory* factory = registry.find(name.name);
    EXPECT_EQ(factory != nullptr, name.built == config::Built::built) << name.name;
    if (factory == nullptr) continue;
    ++built;
    const auto optimizer = (*factory)({memory, config});
    EXPECT_STREQ(optimizer->name(), "AdamW");
    std::vector<std::string> states;
    for (const OptimizerState& state : optimizer->states()) {
      states.push_back(state.name);
      EXPECT_EQ(state.flats.at(0).numel(), memory[0].local().length);
      EXPECT_FALSE(state.flats.at(1).defined()) << "frozen";
    }
    EXPECT_EQ(states, (std::vector<std::string>{"first_moment", "second_moment"}));
  }
  EXPECT_EQ(built, 7u);
}

}  // namespace
}  // namespace lmms::optim
