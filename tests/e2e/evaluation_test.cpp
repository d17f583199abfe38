// eval_loss: when it is computed, and over what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Steps after which an evaluation stands in the metrics.
std::vector<double> evaluated(const Project& project, Words words) {
  words.push_back("dataset_config.eval_dataset_path=eval.jsonl");
  words.push_back("trainer_args.save_strategy=no");
  words.push_back("trainer_args.resume_from_checkpoint=false");
  project.train_to_the_end(words);
  std::vector<double> steps;
  for (const auto& row : metrics(project / "out"))
    if (row.contains("eval_loss")) steps.push_back(row["step"]);
  return steps;
}

TEST(Evaluation, comes_when_it_was_asked_for) {
  const Project project;
  EXPECT_THAT(evaluated(project, {}), ElementsAre());
  EXPECT_THAT(evaluated(project, {"trainer_args.eval_on_start=true"}), ElementsAre(0));
  EXPECT_THAT(evaluated(project, {"trainer_args.eval_strategy=epoch"}), ElementsAre(10, 20));
  EXPECT_THAT(evaluated(project, {"trainer_args.eval_strategy=steps", "trainer_args.eval_steps=8"}),
              ElementsAre(8, 16, 20));  // and at the end
  EXPECT_THAT(evaluated(project, {"trainer_args.eval_strategy=steps", "trainer_args.eval_steps=0.5",
                                  "trainer_args.eval_on_start=true"}),
              ElementsAre(0, 10, 20));
}

TEST(Evaluation, falls_while_the_model_learns) {
  const Project project;
  evaluated(project, {"trainer_args.eval_on_start=true", "trainer_args.eval_strategy=epoch"});
  const auto losses = column(metrics(project / "out"), "eval_loss");
  ASSERT_EQ(losses.size(), 3u);
  EXPECT_NEAR(losses[0], std::log(4096), 0.2);
  EXPECT_LT(losses[1], losses[0]);
  EXPECT_LT(losses[2], losses[1]);
}

TEST(Evaluation, twice_over_the_same_weights_is_twice_the_same) {
  const Project project;
  evaluated(project, {"trainer_args.eval_on_start=true", "trainer_args.eval_strategy=steps",
                      "trainer_args.eval_steps=1", "trainer_args.max_steps=3",
                      "trainer_args.learning_rate=0"});
  const auto losses = column(metrics(project / "out"), "eval_loss");
  ASSERT_EQ(losses.size(), 4u);
  for (double loss : losses) EXPECT_EQ(loss, losses[0]);
}

TEST(Evaluation, is_over_all_tokens_however_they_are_cut_into_batches) {
  const Project project;
  const auto loss = [&](const std::string& size) {
    evaluated(project, {"trainer_args.eval_on_start=true", "trainer_args.max_steps=1",
                        "trainer_args.per_device_eval_batch_size=" + size});
    return metrics(project / "out").front();
  };
  const auto one = loss("1"), all = loss("6");
  EXPECT_EQ(one["eval_samples"], 6);
  EXPECT_EQ(one["eval_supervised_tokens"], all["eval_supervised_tokens"]);
  EXPECT_NEAR(one["eval_loss"].get<double>(), all["eval_loss"].get<double>(), 2e-6 * 8);
}

TEST(Evaluation, of_the_training_rows_is_the_loss_that_training_starts_from) {
  const Project project;
  project.train_to_the_end(
      {"dataset_config.eval_dataset_path=train.jsonl", "trainer_args.eval_on_start=true",
       "trainer_args.per_device_train_batch_size=40", "trainer_args.max_steps=1"});
  const auto rows = metrics(project / "out");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_NEAR(rows[0]["eval_loss"].get<double>(), rows[1]["loss"].get<double>(), 2e-6 * 8);
}

TEST(Evaluation, of_a_set_without_targets_is_an_error) {
  const Project project;
  project.write("eval.jsonl", R"({"messages": [{"role": "user", "content": "hello"}]})"
                              "\n");
  const Ended ended = project.train(
      {"dataset_config.eval_dataset_path=eval.jsonl", "trainer_args.eval_on_start=true"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("eval_dataset_path"));
}

}  // namespace
}  // namespace lmms::e2e
