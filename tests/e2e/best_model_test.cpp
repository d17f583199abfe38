// The best checkpoint, and runs that end early, in whole runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/files.h"
#include "core/format.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// An evaluation after every second step. The loss falls, and the greatest is taken for the best:
/// so the first evaluation is, and no other one is better.
Words first_is_best(const Words& more = {}) {
  Words words{"dataset_config.eval_dataset_path=eval.jsonl",
              "trainer_args.eval_strategy=steps",
              "trainer_args.eval_steps=2",
              "trainer_args.save_strategy=steps",
              "trainer_args.save_steps=2",
              "trainer_args.save_total_limit=1",
              "trainer_args.load_best_model_at_end=true",
              "trainer_args.greater_is_better=true",
              "trainer_args.early_stopping_patience=3",
              "trainer_args.ema_enabled=true"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::vector<nlohmann::json> journal(const fs::path& output, const std::string& kind) {
  std::vector<nlohmann::json> out;
  std::ifstream in(output / "journal.jsonl");
  for (std::string line; std::getline(in, line);) {
    nlohmann::json record = nlohmann::json::parse(line);
    if (record.at("kind") == kind) out.push_back(std::move(record));
  }
  return out;
}

TEST(BestModel, stands_in_the_output_folder_of_a_run_that_stopped_early) {
  const Project project;
  const fs::path out = project / "out";
  const Ended ended = project.train_to_the_end(first_is_best());
  EXPECT_THAT(ended.err, HasSubstr("step 8: stopped early: eval_loss has not improved for 3 "
                                   "evaluations; its best is "));
  EXPECT_THAT(ended.err,
              HasSubstr("the final model is that of checkpoint-2, the best by eval_loss"));
  EXPECT_THAT(checkpoints(out), ElementsAre("checkpoint-2", "checkpoint-8"));
  EXPECT_TRUE(weights(out) == weights(out / "checkpoint-2"));
  EXPECT_TRUE(weights(out / "ema") == weights(out / "checkpoint-2/ema"));
  EXPECT_FALSE(weights(out) == weights(out / "checkpoint-8"));
  EXPECT_FALSE(fs::exists(out / "resume"));
  EXPECT_EQ(*read_file(out / "finished.json"), "{\"model_step\":2,\"step\":8}\n");

  const std::vector<double> losses = column(metrics(out), "eval_loss");
  ASSERT_EQ(losses.size(), 4u);
  EXPECT_THAT(column(metrics(out), "best_step"), ElementsAre(2, 2, 2, 2));
  EXPECT_EQ(column(metrics(out), "best_metric").back(), losses.front());
  ASSERT_EQ(journal(out, "best").size(), 1u);
  EXPECT_EQ(journal(out, "best").front().at("path"), "checkpoint-2");
  std::vector<std::string> deleted;
  for (const auto& record : journal(out, "checkpoint_deleted"))
    deleted.push_back(record.at("path"));
  EXPECT_THAT(deleted, ElementsAre("checkpoint-4", "checkpoint-6"));
  const nlohmann::json end = journal(out, "end").back();
  EXPECT_EQ(end.at("model").at("path"), "checkpoint-2");
  EXPECT_THAT(end.at("text").get<std::string>(), HasSubstr("stopped early"));

  const Ended evaluated =
      run({"eval", "config.yaml", "out", "dataset_config.eval_dataset_path=eval.jsonl"},
          project.here());
  EXPECT_EQ(evaluated.exit, 0) << evaluated.err;
  EXPECT_THAT(evaluated.out + evaluated.err, HasSubstr(fmt::format("{:.6f}", losses.front())));
}

TEST(BestModel, of_a_run_that_went_on_is_that_of_an_unbroken_one) {
  const Project project;
  const fs::path out = project / "out";
  project.train_to_the_end(first_is_best({"trainer_args.save_total_limit=null"}));
  const auto rows = steady_metrics(out);
  const std::string whole = weights(out);
  for (const char* name : {"checkpoint-6", "checkpoint-8"}) fs::remove_all(out / name);
  fs::remove(out / "finished.json");
  const Ended ended =
      project.train_to_the_end(first_is_best({"trainer_args.save_total_limit=null"}));
  EXPECT_THAT(ended.err, HasSubstr("going on from out/checkpoint-4"));
  EXPECT_EQ(steady_metrics(out), rows);
  EXPECT_TRUE(weights(out) == whole);

  const auto before = contents(out);
  EXPECT_THAT(project
                  .train_to_the_end(first_is_best({"trainer_args.save_total_limit=null",
                                                   "trainer_args.logging_first_step=true"}))
                  .err,
              HasSubstr("finished"));
  EXPECT_EQ(contents(out), before) << "a change that trains no step";
  const Ended more = project.train_to_the_end(
      first_is_best({"trainer_args.early_stopping_patience=4", "trainer_args.max_steps=12"}));
  EXPECT_THAT(more.err, HasSubstr("going on from out/checkpoint-8"));
  EXPECT_THAT(more.err, HasSubstr("step 10: stopped early: eval_loss has not improved for 4"));
  EXPECT_TRUE(weights(out) == whole);
}

TEST(BestModel, that_is_damaged_or_gone_is_replaced_by_the_last_one) {
  const Project project;
  const fs::path out = project / "out";
  project.train_to_the_end(first_is_best());
  const fs::path file = out / "checkpoint-2/model.safetensors";
  std::string bytes = *read_file(file);
  bytes.back() ^= 1;
  std::ofstream(file, std::ios::binary) << bytes;
  fs::remove(out / "finished.json");
  const Ended damaged = project.train_to_the_end(first_is_best());
  EXPECT_THAT(damaged.err, HasSubstr("the best checkpoint cannot be read"));
  EXPECT_TRUE(weights(out) == weights(out / "checkpoint-8"));
  fs::remove_all(out / "checkpoint-2");
  fs::remove(out / "finished.json");
  const Ended gone = project.train_to_the_end(first_is_best());
  EXPECT_THAT(gone.err, HasSubstr("the best checkpoint so far is gone"));
  EXPECT_TRUE(weights(out) == weights(out / "checkpoint-8"));
}

TEST(BestModel, alone_is_saved_where_that_is_asked_for) {
  const Project project;
  const fs::path out = project / "out";
  project.train_to_the_end(
      first_is_best({"trainer_args.save_strategy=best", "trainer_args.max_steps=6"}));
  EXPECT_THAT(checkpoints(out), ElementsAre("checkpoint-2"));
  EXPECT_TRUE(weights(out) == weights(out / "checkpoint-2"));
  EXPECT_EQ(*read_file(out / "finished.json"), "{\"model_step\":2,\"step\":6}\n");
}

TEST(BestModel, that_nobody_asked_for_changes_nothing) {
  const Project project;
  project.train_to_the_end({"dataset_config.eval_dataset_path=eval.jsonl",
                            "trainer_args.eval_strategy=steps", "trainer_args.eval_steps=2",
                            "trainer_args.max_steps=4"});
  EXPECT_THAT(column(metrics(project / "out"), "best_step"), ElementsAre());
  EXPECT_THAT(*read_file(project / "out/finished.json"), Not(HasSubstr("model_step")));
}

TEST(BestModel, that_a_finished_run_is_asked_for_too_late_is_the_last_one) {
  const Project project;
  const Words words = {"dataset_config.eval_dataset_path=eval.jsonl",
                       "trainer_args.eval_strategy=steps",
                       "trainer_args.eval_steps=2",
                       "trainer_args.save_strategy=steps",
                       "trainer_args.save_steps=2",
                       "trainer_args.max_steps=2"};
  project.train_to_the_end(words);
  const auto before = contents(project / "out");
  Words late = words;
  late.push_back("trainer_args.load_best_model_at_end=true");
  EXPECT_THAT(project.train_to_the_end(late).err,
              HasSubstr("no evaluation of this run is known by eval_loss; the model stays that of "
                        "the last step"));
  EXPECT_EQ(contents(project / "out"), before);
}

}  // namespace
}  // namespace lmms::e2e
