// kill -9 at any moment, and the same command again: the end is that of a run without a kill.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <random>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;

struct KilledRun {
  const char* name;
  int math_threads;
  Words words;
};

const Words kPacked{"dataset_config.packing=true", "dataset_config.packing_length=128",
                    "dataset_config.packing_kwargs.num_open_bins=5",
                    "trainer_args.num_train_epochs=7",
                    "trainer_args.per_device_train_batch_size=2"};

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Killed : public testing::TestWithParam<KilledRun> {
 protected:
  /// The same words each time, but another number of threads that prepare data.
  Words command(int start) const {
    return Project::command(GetParam().words + Words{"trainer_args.dataloader_num_workers=" +
                                                     std::to_string(1 + start % 3)});
  }
  static Surroundings in(const Project& project) {
    Surroundings surroundings = project.here();
    surroundings.math_threads = GetParam().math_threads;
    return surroundings;
  }
  /// Runs on until the end after the kills.
  void expect_the_same_end(const Project& killed, int starts) const {
    const Ended last = run(command(starts), in(killed));
    ASSERT_EQ(last.exit, 0) << last.err;
    const Project whole;
    const Ended unbroken = run(Project::command(GetParam().words), in(whole));
    ASSERT_EQ(unbroken.exit, 0) << unbroken.err;
    EXPECT_EQ(steady_metrics(killed / "out"), steady_metrics(whole / "out"));
    EXPECT_EQ(weights(killed / "out"), weights(whole / "out"));
    EXPECT_EQ(checkpoints(killed / "out"), checkpoints(whole / "out"));
    for (const auto& entry : fs::directory_iterator(killed / "out"))
      EXPECT_FALSE(entry.path().filename().string().starts_with(".tmp-")) << entry.path();
  }
};

TEST_P(Killed, at_random_moments_ends_in_the_same_bits) {
  std::mt19937 random(20260101);  // NOLINT: the same moments in every run of the test
  const Project project;
  const auto rows_written = [&] {
    const Result<std::string> text = read_file(project / "out/metrics.jsonl");
    return text ? std::count(text->begin(), text->end(), '\n') : 0;
  };
  int kills = 0;
  for (int start = 0; start < 6; ++start) {
    Running running(command(start), in(project));
    // a few steps further, and some way into one: counted in steps, so that a fast machine is
    // killed as often as a slow one
    const int64_t wanted = rows_written() + 1 + static_cast<int64_t>(random() % 3);
    if (!running.until([&] { return rows_written() >= wanted; })) break;
    running.runs_for(std::chrono::microseconds(random() % 20'000));
    running.send(SIGKILL);
    kills += running.wait().signal == SIGKILL;
  }
  EXPECT_GE(kills, 1);
  expect_the_same_end(project, 6);
}

TEST_P(Killed, inside_saves_ends_in_the_same_bits) {
  const Project project;
  const auto saving = [&] {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(project / "out", ignored))
      if (entry.path().filename().string().starts_with(".tmp-")) return true;
    return false;
  };
  std::mt19937 random(7);  // NOLINT
  int kills = 0;
  for (int start = 0; start < 5; ++start) {
    Running running(command(start), in(project));
    // the first save that it comes to, and a little into it
    if (!running.until([&] { return saving(); })) break;
    running.runs_for(std::chrono::microseconds(random() % 6000));
    running.send(SIGKILL);
    kills += running.wait().signal == SIGKILL;
  }
  EXPECT_GE(kills, 1);
  expect_the_same_end(project, 5);
}

INSTANTIATE_TEST_SUITE_P(
    Runs, Killed,
    testing::Values(
        KilledRun{"fp32_packed_over_epochs", 1, kPacked + Words{"trainer_args.save_steps=3"}},
        KilledRun{"bf16_packed_accumulated", 2,
                  kPacked + Words{"trainer_args.bf16=true", "trainer_args.save_steps=4",
                                  "trainer_args.per_device_train_batch_size=1",
                                  "trainer_args.gradient_accumulation_steps=2",
                                  "dataset_config.packing_strategy=balanced"}},
        KilledRun{"bf16_without_masters", 2,
                  kPacked + Words{"trainer_args.bf16=true", "trainer_args.master_weights=false",
                                  "trainer_args.save_steps=3"}},
        // the learning rate follows the evaluations: it falls after each that brings less than 90 %
        KilledRun{"fp32_rows_with_evaluation",
                  1,
                  {"trainer_args.num_train_epochs=4", "trainer_args.save_steps=3",
                   "trainer_args.save_total_limit=2", "trainer_args.eval_strategy=steps",
                   "trainer_args.eval_steps=4", "trainer_args.eval_on_start=true",
                   "dataset_config.eval_dataset_path=eval.jsonl", "trainer_args.weight_decay=0.1",
                   "trainer_args.lr_scheduler_type=reduce_lr_on_plateau",
                   "trainer_args.lr_scheduler_kwargs={patience: 0, threshold: 0.9, factor: 0.5}"}},
        KilledRun{"fp32_saved_as_bf16",
                  1,
                  {"trainer_args.save_dtype=bfloat16", "trainer_args.save_steps=2",
                   "trainer_args.freeze_modules=[model.embed_tokens]"}}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace lmms::e2e
