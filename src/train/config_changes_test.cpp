#include "train/config_changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms::train {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

/// What a resolved config needs to be read again.
TrainConfig readable() {
  TrainConfig config;
  config.dataset.dataset_type = "vision";
  config.dataset.processor.processor_type = "qwen2";
  config.model.load_from_pretrained_path = "model";
  return config;
}

/// What is named when `change` is made to a config.
template <class Change>
std::vector<std::string> named(const std::string& schedule, Paths paths, const Change& change) {
  TrainConfig config = readable();
  config.dataset.dataset_path = "a.jsonl";
  config.dataset.eval_dataset_path = "eval.jsonl";
  config.trainer.eval_strategy = Every::steps;
  config.trainer.schedule.lr_scheduler_type = schedule;
  const std::string before = write_resolved(config);
  change(config);
  return config_changes(before, config, paths);
}

class FollowsEvaluation : public testing::TestWithParam<const char*> {
 protected:
  template <class Change>
  std::vector<std::string> named(const Change& change) {
    return train::named(GetParam(), Paths::content_is_compared, change);
  }
};

TEST_P(FollowsEvaluation, so_when_and_on_what_is_named) {
  EXPECT_THAT(named([](TrainConfig& c) { c.trainer.eval_steps = 4; }),
              ElementsAre("trainer_args.eval_steps: 4.0, before: 1.0"));
  EXPECT_THAT(named([](TrainConfig& c) { c.trainer.eval_strategy = Every::epoch; }),
              testing::Contains("trainer_args.eval_strategy: epoch, before: steps"));
  EXPECT_THAT(named([](TrainConfig& c) { c.dataset.eval_dataset_path = "other.jsonl"; }).size(),
              1u);
  EXPECT_THAT(named([](TrainConfig& c) { c.dataset.eval_dataset_path = "./eval.jsonl"; }),
              IsEmpty());
  // absent eval_steps are logging_steps
  EXPECT_THAT(named([](TrainConfig& c) { c.trainer.logging_steps = 3; }),
              ElementsAre("trainer_args.eval_steps: 3.0, before: 1.0"));
  EXPECT_THAT(named([](TrainConfig& c) { c.trainer.eval_steps = 1; }), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Schedules, FollowsEvaluation,
                         testing::Values("greedy", "reduce_lr_on_plateau"),
                         [](const auto& each) { return std::string(each.param); });

TEST(ConfigChanges, leave_evaluation_out_where_no_schedule_follows_it) {
  EXPECT_THAT(named("cosine", Paths::are_data,
                    [](TrainConfig& c) {
                      c.trainer.eval_steps = 4;
                      c.trainer.eval_strategy = Every::epoch;
                      c.trainer.logging_steps = 3;
                      c.dataset.eval_dataset_path = "other.jsonl";
                    }),
              IsEmpty());
}

TEST(ConfigChanges, name_evaluation_where_either_schedule_follows_it) {
  EXPECT_THAT(named("cosine", Paths::are_data,
                    [](TrainConfig& c) {
                      c.trainer.schedule.lr_scheduler_type = "greedy";
                      c.trainer.eval_steps = 4;
                    }),
              UnorderedElementsAre("trainer_args.lr_scheduler_type: greedy, before: cosine",
                                   "trainer_args.eval_steps: 4.0, before: 1.0"));
}

TEST(ConfigChanges, leave_paths_of_training_data_to_the_comparison_of_its_content) {
  const auto moved = [](TrainConfig& c) { c.dataset.dataset_path = "b.jsonl"; };
  EXPECT_THAT(named("cosine", Paths::content_is_compared, moved), IsEmpty());
  EXPECT_THAT(named("cosine", Paths::are_data, moved),
              ElementsAre("dataset_config.dataset_path: b.jsonl, before: a.jsonl"));
}

TEST(ConfigChanges, name_other_weights_and_media_folders_of_a_mixture) {
  TrainConfig config = readable();
  config.dataset.datasets.resize(1);
  data::SourceConfig& source = config.dataset.datasets[0];
  source.path = "a.jsonl";
  source.data_folder = "media";
  const std::string before = write_resolved(config);
  source.path = "./a.jsonl";
  source.data_folder = "./media/";
  EXPECT_THAT(config_changes(before, config, Paths::content_is_compared), IsEmpty());
  source.data_folder = "other";
  EXPECT_THAT(config_changes(before, config, Paths::content_is_compared).size(), 1u);
  source.data_folder = "media";
  source.weight = 2;
  EXPECT_THAT(config_changes(before, config, Paths::content_is_compared).size(), 1u);
}

TEST(ConfigChanges, leave_the_policy_of_changed_data_out) {
  EXPECT_THAT(named("cosine", Paths::content_is_compared,
                    [](TrainConfig& c) { c.dataset.on_changed_data = data::OnChangedData::go_on; }),
              IsEmpty());
}

}  // namespace
}  // namespace lmms::train
