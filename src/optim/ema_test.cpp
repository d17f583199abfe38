#include "optim/ema.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace lmms::optim {
namespace {

constexpr int64_t kElements = 2 * parallel::kAlignment;

parallel::Bucket bucket(at::ScalarType dtype, bool trainable = true) {
  return parallel::Bucket({{"unit", dtype, trainable}, dtype}, {{"a", {5}, true}, {"b", {3}, true}},
                          at::kCPU);
}

EmaConfig config(double decay) {
  EmaConfig c;
  c.ema_enabled = true;
  c.ema_decay = decay;
  return c;
}

const at::Tensor kApplied = at::tensor(0, at::kInt), kSkipped = at::tensor(1, at::kInt);

// One bucket whose master weights are the number of the step, all averaged.
class EmaOfSteps : public testing::Test {
 protected:
  EmaOfSteps() {
    buckets.push_back(bucket(at::kBFloat16));
    buckets[0].local().masters.fill_(0);
  }
  // Elements of the average after each of the steps.
  std::vector<float> run(Ema& ema, int64_t steps, const at::Tensor& skipped = kApplied) {
    std::vector<float> out;
    for (int64_t step = 1; step <= steps; ++step) {
      ema.before_update(step);
      buckets[0].local().masters.fill_(static_cast<float>(step));
      ema.after_update(step, skipped);
      out.push_back(ema.average(0, step)[0].item<float>());
    }
    return out;
  }
  std::vector<std::vector<parallel::Range>> everything{{{0, kElements}}};
  std::vector<parallel::Bucket> buckets;
};

TEST_F(EmaOfSteps, is_the_formula_in_fp32_of_the_master_weights) {
  Ema ema(buckets, everything, config(0.75));
  const auto averages = run(ema, 50);
  double expected = 0;
  for (size_t i = 0; i < averages.size(); ++i) {
    expected = 0.75 * expected + 0.25 * static_cast<double>(i + 1);
    EXPECT_NEAR(averages[i], expected, 1e-6 * expected) << i;
  }
}

TEST_F(EmaOfSteps, moves_by_changes_that_bf16_would_lose) {
  Ema ema(buckets, everything, config(0.9999));
  EXPECT_NEAR(run(ema, 1)[0], 1e-4, 1e-9);
}

TEST_F(EmaOfSteps, decays_faster_at_first_under_ema_warmup) {
  EmaConfig c = config(0.75);
  c.ema_warmup = true;
  Ema ema(buckets, everything, c);
  const auto averages = run(ema, 60);
  double expected = 0;
  for (int n = 0; n < 60; ++n) {  // updates before this one
    const double decay = std::min(0.75, (1.0 + n) / (10.0 + n));
    EXPECT_EQ(ema.decay(n + 1), decay);
    expected = decay * expected + (1 - decay) * (n + 1);
    EXPECT_NEAR(averages[static_cast<size_t>(n)], expected, 1e-6 * expected) << n;
  }
  EXPECT_EQ(ema.decay(27), 27.0 / 36);  // where the two laws meet
}

TEST_F(EmaOfSteps, counts_its_own_updates_for_ema_warmup) {
  EmaConfig c = config(0.9999);
  c.ema_warmup = true;
  c.ema_update_every = 3;
  c.ema_start_step = 4;
  const Ema ema(buckets, everything, c);
  EXPECT_EQ(ema.decay(6), 0.1);
  EXPECT_EQ(ema.decay(9), 2.0 / 11);
}

TEST_F(EmaOfSteps, stands_in_for_the_weights_and_goes_again) {
  buckets.push_back(bucket(at::kFloat, /*trainable=*/false));
  buckets[1].local().weights.fill_(7);
  everything.emplace_back();
  buckets[0].local().weights.copy_(at::arange(kElements));
  const at::Tensor before = buckets[0].local().weights.clone();
  Ema ema(buckets, everything, config(0.5));
  buckets[0].local().masters.fill_(3);
  ema.after_update(1, kApplied);
  {
    const Ema::InPlace in_place(ema, 1);
    EXPECT_TRUE(buckets[0].local().weights.eq(1.5).all().item<bool>());
    EXPECT_TRUE(buckets[0].local().masters.eq(3).all().item<bool>());
  }
  EXPECT_TRUE(buckets[0].local().weights.equal(before));
  EXPECT_TRUE(buckets[1].local().weights.eq(7).all().item<bool>());
}

TEST_F(EmaOfSteps, stays_at_a_step_that_was_skipped) {
  Ema ema(buckets, everything, config(0.5));
  EXPECT_EQ(run(ema, 3, kSkipped), (std::vector<float>{0, 0, 0}));
}

TEST_F(EmaOfSteps, moves_every_so_many_steps) {
  EmaConfig c = config(0.5);
  c.ema_update_every = 3;
  Ema ema(buckets, everything, c);
  EXPECT_EQ(run(ema, 7), (std::vector<float>{0, 0, 1.5, 1.5, 1.5, 3.75, 3.75}));
}

TEST_F(EmaOfSteps, begins_from_the_weights_of_its_first_step) {
  EmaConfig c = config(0.5);
  c.ema_start_step = 4;
  Ema ema(buckets, everything, c);
  EXPECT_EQ(run(ema, 6), (std::vector<float>{1, 2, 3, 3.5, 4.25, 5.125}));
}

TEST_F(EmaOfSteps, begins_from_the_weights_of_its_first_step_where_it_updates_nothing) {
  EmaConfig c = config(0.5);
  c.ema_start_step = 3;
  Ema ema(buckets, everything, c);
  run(ema, 2);
  ema.before_update(3);  // no token is trained
  EXPECT_EQ(ema.average(0, 3)[0].item<float>(), 2.0f);
  ema.before_update(4);
  buckets[0].local().masters.fill_(4);
  ema.after_update(4, kApplied);
  EXPECT_EQ(ema.average(0, 4)[0].item<float>(), 3.0f);
}

TEST_F(EmaOfSteps, what_is_not_averaged_is_the_weights) {
  Ema ema(buckets, {{{1, 2}, {256, 3}}}, config(0.5));
  run(ema, 1);
  const at::Tensor average = ema.average(0, 1);
  for (int64_t i = 0; i < kElements; ++i) {
    const bool averaged = (i >= 1 && i < 3) || (i >= 256 && i < 259);
    EXPECT_EQ(average[i].item<float>(), averaged ? 0.5f : 1.0f) << i;
  }
}

TEST_F(EmaOfSteps, can_become_the_weights) {
  Ema ema(buckets, {{{0, 2}}}, config(0.5));
  run(ema, 1);
  ema.copy_to_weights();
  for (const at::Tensor& weights :
       {buckets[0].local().masters, buckets[0].local().weights.to(at::kFloat)})
    EXPECT_EQ(weights[1].item<float>(), 0.5f);
  EXPECT_EQ(buckets[0].local().masters[2].item<float>(), 1.0f);
}

TEST(Ema, of_shards_is_the_average_of_one_cut) {
  // elements 3 to 8 and 200 to 600 of the bucket, by one rank and by two
  const auto averaged = [](const parallel::Bucket& b) {
    std::vector<parallel::Range> out;
    for (const auto& [offset, length] : {std::pair(3, 5), std::pair(200, 400)}) {
      const int64_t begin = std::max<int64_t>(offset - b.local().offset, 0);
      const int64_t end = std::min<int64_t>(offset + length - b.local().offset, b.local().length);
      if (begin < end) out.push_back({begin, end - begin});
    }
    return out;
  };
  std::vector<at::Tensor> averages;
  for (const parallel::Shard shard : {parallel::Shard{0, 1}, {0, 2}, {1, 2}}) {
    std::vector<parallel::Bucket> buckets;
    buckets.emplace_back(
        parallel::BucketLayout{{"unit", at::kBFloat16}, at::kFloat, /*masters=*/true, shard},
        std::vector<parallel::BucketEntry>{{"w", {700}, true}}, at::kCPU);
    const parallel::Local& local = buckets[0].local();
    Ema ema(buckets, {averaged(buckets[0])}, config(0.75));
    ema.before_update(1);
    local.masters.copy_(at::arange(local.offset, local.offset + local.length, at::kFloat));
    ema.after_update(1, kApplied);
    averages.push_back(ema.average(0, 1).clone());
  }
  const at::Tensor together = at::cat({averages[1], averages[2]});
  EXPECT_TRUE(together.narrow(0, 0, averages[0].numel()).equal(averages[0]));
  EXPECT_EQ(averages[0][7].item<float>(), 0.25f * 7);
  EXPECT_EQ(averages[0][8].item<float>(), 8.0f);
}

TEST(Ema, has_nothing_of_frozen_buckets) {
  std::vector<parallel::Bucket> buckets;
  buckets.push_back(bucket(at::kFloat, /*trainable=*/false));
  Ema ema(buckets, {{}}, config(0.5));
  ema.before_update(1);
  ema.after_update(1, kApplied);
  EXPECT_FALSE(ema.average(0, 1).defined());
}

TEST(EmaFilter, takes_names_as_the_Python_project_does) {
  EmaFilter all;
  EXPECT_TRUE(all.takes("model.norm.weight"));
  EmaFilter some{"substring", {"layers.1.", "norm"}, {"bias"}};
  EXPECT_TRUE(some.takes("model.norm.weight"));
  EXPECT_TRUE(some.takes("model.layers.1.mlp.weight"));
  EXPECT_FALSE(some.takes("model.layers.1.mlp.bias"));
  EXPECT_FALSE(some.takes("model.layers.11.mlp.weight"));
  EmaFilter pattern{"regex", {R"(layers\.\d+\.mlp)"}, {R"(down.*weight$)"}};
  EXPECT_TRUE(pattern.takes("model.layers.12.mlp.up_proj.weight"));
  EXPECT_FALSE(pattern.takes("model.layers.12.mlp.down_proj.weight"));
  EXPECT_FALSE(pattern.takes("model.norm.weight"));
}

}  // namespace
}  // namespace lmms::optim
