// Learning rates that follow eval_loss, in whole runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

/// An evaluation after every second step; whatever it says moves the learning rate.
Words greedy() {
  return {
      "dataset_config.eval_dataset_path=eval.jsonl",
      "trainer_args.lr_scheduler_type=greedy",
      "trainer_args.lr_scheduler_kwargs={patience: 0, factor: 0.5, min_lr: 0.0001, max_lr: 0.02, "
      "smooth: true, window_size: 3, warmup: 1}",
      "trainer_args.learning_rate=0.004",
      "trainer_args.eval_strategy=steps",
      "trainer_args.eval_steps=2",
      "trainer_args.save_strategy=steps",
      "trainer_args.save_steps=5"};
}

TEST(MetricSchedule, moves_the_learning_rate_from_the_step_after_an_evaluation_on) {
  const Project project;
  Words words = greedy();
  words.push_back("trainer_args.max_steps=8");
  const Ended ended = project.train_to_the_end(words);
  // better, ignored (warmup), better
  EXPECT_THAT(column(metrics(project / "out"), "learning_rate"),
              ElementsAre(0.004, 0.004, 0.008, 0.008, 0.008, 0.008, 0.016, 0.016));
  EXPECT_THAT(ended.err, HasSubstr("step 2: the learning rate is 0.008 from here on"));
}

TEST(MetricSchedule, goes_on_from_a_checkpoint_to_the_same_bits) {
  const Project project;
  project.train_to_the_end(greedy());
  const auto rows = steady_metrics(project / "out");
  const std::string whole = weights(project / "out");
  for (const std::string& name : checkpoints(project / "out")) {
    if (name != "checkpoint-5") fs::remove_all(project / "out" / name);
  }
  fs::remove(project / "out" / "finished.json");
  project.train_to_the_end(greedy());
  EXPECT_EQ(steady_metrics(project / "out"), rows);
  EXPECT_TRUE(weights(project / "out") == whole);
}

TEST(MetricSchedule, makes_up_for_the_evaluation_that_a_signal_prevented) {
  const Project whole, stopped;
  Words words = greedy();
  words.push_back("trainer_args.eval_steps=1");
  whole.train_to_the_end(words);
  int interrupted = 0;
  for (int rows = 3; rows < 30; rows += 9) {
    Running running(Project::command(words), stopped.here());
    const bool alive = running.until([&] {
      const auto text = read_file(stopped / "out/metrics.jsonl");
      return text && std::count(text->begin(), text->end(), '\n') >= rows;
    });
    if (alive) running.send(SIGTERM);
    if (running.wait().exit == 3) ++interrupted;
  }
  EXPECT_GE(interrupted, 1);
  stopped.train_to_the_end(words);
  EXPECT_EQ(steady_metrics(stopped / "out"), steady_metrics(whole / "out"));
  EXPECT_TRUE(weights(stopped / "out") == weights(whole / "out"));
}

}  // namespace
}  // namespace lmms::e2e
