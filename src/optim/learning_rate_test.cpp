#include "optim/learning_rate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "optim/schedule.h"

namespace lmms::optim {
namespace {

ScheduleConfig plateau() {
  ScheduleConfig config;
  config.lr_scheduler_type = "reduce_lr_on_plateau";
  config.lr_scheduler_kwargs.factor = 0.5;
  config.lr_scheduler_kwargs.patience = 1;
  return config;
}

ScheduleConfig greedy() {
  ScheduleConfig config;
  config.lr_scheduler_type = "greedy";
  config.lr_scheduler_kwargs.factor = 0.5;
  config.lr_scheduler_kwargs.patience = 1;
  config.lr_scheduler_kwargs.min_lr = 0.25;
  config.lr_scheduler_kwargs.smooth = true;
  config.lr_scheduler_kwargs.window_size = 3;
  config.lr_scheduler_kwargs.reset_start = 2;
  config.lr_scheduler_kwargs.cooldown = 1;
  return config;
}

TEST(LearningRate, is_not_moved_by_a_metric_where_the_schedule_counts_steps) {
  ScheduleConfig config;
  LearningRate rate(config, 1.0, 10);
  EXPECT_FALSE(rate.observe(3.0));
  EXPECT_EQ(rate.state(), std::nullopt);
  EXPECT_DOUBLE_EQ(rate(5, 0.5), 0.5);
}

TEST(LearningRate, follows_a_metric_without_knowing_the_number_of_steps) {
  LearningRate rate(plateau(), 1.0, std::nullopt);
  EXPECT_FALSE(rate.observe(2.0));
  EXPECT_FALSE(rate.observe(2.0));
  EXPECT_TRUE(rate.observe(2.0));  // the second without improvement: more than the patience of 1
  EXPECT_EQ(rate(7, 0.1), 0.5);
}

TEST(LearningRate, is_lowered_by_evaluations_that_are_no_number) {
  LearningRate rate(plateau(), 1.0, std::nullopt);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(rate.observe(nan));
  EXPECT_TRUE(rate.observe(nan));
  EXPECT_EQ(rate.state()->best, std::nullopt);
}

TEST(LearningRate, of_greedy_starts_over_after_its_reductions_at_the_floor) {
  LearningRate rate(greedy(), 1.0, std::nullopt);
  std::vector<double> seen;
  for (int i = 0; i < 16; ++i) {
    rate.observe(i == 0 ? 1.0 : 2.0);
    seen.push_back(rate(0, 0));
  }
  EXPECT_EQ(seen, (std::vector<double>{1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 1, 1, 1, 1, 0.5, 0.5,
                                       0.5, 0.25}));
}

TEST(LearningRate, restored_in_the_middle_goes_on_to_the_bit) {
  for (const ScheduleConfig& config : {plateau(), greedy()}) {
    LearningRate whole(config, 0.7, std::nullopt), first(config, 0.7, std::nullopt);
    const auto metric = [](int i) { return 3.0 - 0.1 * (i % 7) + 0.03 * (i % 3); };
    for (int i = 0; i < 13; ++i) {
      whole.observe(metric(i));
      first.observe(metric(i));
    }
    LearningRate second(config, 0.7, std::nullopt);
    second.restore(first.state());
    for (int i = 13; i < 60; ++i) {
      whole.observe(metric(i));
      second.observe(metric(i));
      EXPECT_EQ(whole.state(), second.state()) << config.lr_scheduler_type << " " << i;
    }
    EXPECT_NE(whole(0, 0), 0.7);
  }
}

TEST(ScheduleTest, warms_up_over_steps_on_top_of_progress_where_steps_are_not_known) {
  ScheduleConfig config;
  config.warmup_steps = 4;
  const Schedule schedule(config, 1.0, std::nullopt);
  EXPECT_NEAR(schedule(1, 0.1), 0.25 * 0.9, 1e-8);
  EXPECT_NEAR(schedule(8, 0.5), 0.5, 1e-8);
}

TEST(ScheduleTest, rounds_a_share_of_warm_up_as_its_source_does) {
  ScheduleConfig config;
  config.warmup_ratio = 0.25;
  EXPECT_EQ(Schedule(config, 1.0, 10).warmup_steps(), 3);
  EXPECT_EQ(Schedule(config, 1.0, 10, /*compat=*/true).warmup_steps(), 2);
}

TEST(ScheduleConfig, names_the_arguments_of_every_schedule_that_follows_a_metric) {
  for (const config::Name& name : schedule_names()) {
    EXPECT_NE(name.built, config::Built::later) << name.name;
    if (!follows_metric(name.name)) continue;
    EXPECT_FALSE(schedule_kwargs(name.name).empty()) << name.name;
  }
  EXPECT_TRUE(schedule_kwargs("linear").empty());
}

TEST(LearningRate, comes_from_whatever_rule_is_registered) {
  class Halves final : public ScheduleRule {
   public:
    double of(double peak, int64_t done, double) const override {
      return peak / static_cast<double>(int64_t{1} << done);
    }
  };
  Registry<ScheduleFactory> registry("schedule");
  register_schedules(registry);
  registry.add("halves", "half of it every step",
               [](const ScheduleSetup&) -> std::unique_ptr<ScheduleRule> {
                 return std::make_unique<Halves>();
               });
  for (const config::Name& name : schedule_names())
    EXPECT_NE(registry.find(name.name), nullptr) << name.name;
  const ScheduleConfig config;
  LearningRate rate(registry.at("halves", "here"), {config, 1.0});
  EXPECT_EQ(rate(3, 0), 0.125);
  EXPECT_EQ(rate.of(2.0, 1, 0), 1.0);
  EXPECT_FALSE(rate.observe(3.0));
  EXPECT_FALSE(rate.state());
}

TEST(LearningRate, multiplies_the_peak_of_a_group_as_it_does_the_default) {
  ScheduleConfig config;
  config.lr_scheduler_type = "cosine_with_min_lr";
  config.lr_scheduler_kwargs.min_lr = 1e-4;
  config.warmup_steps = 5;
  const LearningRate rate(config, 1e-3, 50);
  for (int64_t done = 0; done < 50; ++done) {
    EXPECT_NEAR(rate.of(2e-6, done, 0), rate(done, 0) * 2e-3, 1e-18) << done;
    EXPECT_EQ(rate.of(1e-3, done, 0), rate(done, 0));
  }
}

TEST(LearningRate, is_finite_for_any_schedule_where_rates_and_floors_are_zero) {
  for (const config::Name& name : schedule_names()) {
    for (const double warmup : {0.0, 3.0, 10.0, 20.0}) {
      ScheduleConfig config;
      config.lr_scheduler_type = std::string(name.name);
      config.lr_scheduler_kwargs.lr_end = 0;
      config.lr_scheduler_kwargs.min_lr = 0;
      config.lr_scheduler_kwargs.num_decay_steps = 1;
      config.warmup_steps = warmup;
      for (const bool compat : {false, true}) {
        LearningRate rate(config, 0.0, 10, compat);
        for (int64_t done = 0; done <= 12; ++done) {
          const double progress = std::min(1.0, 0.1 * static_cast<double>(done));
          EXPECT_EQ(rate(done, progress), 0) << name.name << " " << warmup << " " << done;
          if (follows_metric(name.name)) {
            rate.observe(1.0);
          } else {
            const double group = rate.of(1e-3, done, progress);
            EXPECT_TRUE(group >= 0 && group <= 1e-3) << name.name << " " << warmup << " " << done;
          }
        }
      }
    }
  }
}

TEST(LearningRate, of_polynomial_without_a_rate_decays_groups_to_zero) {
  ScheduleConfig config;
  config.lr_scheduler_type = "polynomial";
  config.lr_scheduler_kwargs.lr_end = 0;
  config.lr_scheduler_kwargs.power = 2;
  const LearningRate none(config, 0.0, 10), some(config, 1e-4, 10);
  for (int64_t done = 0; done <= 10; ++done)
    EXPECT_NEAR(none.of(1e-3, done, 0), some.of(1e-3, done, 0), 1e-18) << done;
}

TEST(LearningRate, that_no_weight_can_take_is_an_error) {
  ScheduleConfig config;
  config.lr_scheduler_type = "wsd";
  config.lr_scheduler_kwargs.stable_ratio = 0;
  config.lr_scheduler_kwargs.num_cycles = 1e308;
  const LearningRate rate(config, 1e-3, 10);
  EXPECT_THROW(rate(5, 0.5), Error);
  EXPECT_THROW(LearningRate(ScheduleConfig{}, 1e39, 10)(0, 0), Error);
}

TEST(LearningRate, that_follows_the_evaluation_multiplies_the_peak_of_a_group_too) {
  ScheduleConfig config;
  config.lr_scheduler_type = "reduce_lr_on_plateau";
  config.lr_scheduler_kwargs.patience = 0;
  config.lr_scheduler_kwargs.factor = 0.5;
  LearningRate rate(config, 1e-3, std::nullopt);
  EXPECT_EQ(rate.of(4e-3, 0, 0), 4e-3);
  for (double metric : {1.0, 2.0, 2.0}) rate.observe(metric);
  EXPECT_EQ(rate(3, 0), 2.5e-4);
  EXPECT_EQ(rate.of(4e-3, 3, 0), 1e-3);
}

}  // namespace
}  // namespace lmms::optim
