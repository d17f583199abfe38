// eval_loss: when it is computed, and over what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/files.h"
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

std::string many(int words) {
  std::string text;
  for (int i = 0; i < words; ++i) text += "word ";
  return text;
}

TEST(Evaluation, is_over_samples_that_are_longer_than_a_packed_row) {
  const Project project;
  project.write("eval.jsonl", read_file(project / "eval.jsonl").take() +
                                  chat_line("Go on.", many(300)) + chat_line("Go on.", many(200)));
  const auto first = [&](Words words) {
    words.push_back("trainer_args.eval_on_start=true");
    words.push_back("trainer_args.max_steps=1");
    evaluated(project, words);
    return metrics(project / "out").front();
  };
  const auto whole = first({});
  const Words packed{"dataset_config.packing=true", "dataset_config.packing_length=128"};
  const auto same = first(packed);
  EXPECT_EQ(same["eval_samples"], 8);
  EXPECT_EQ(same["eval_skipped_samples"], 0);
  EXPECT_EQ(same["eval_supervised_tokens"], whole["eval_supervised_tokens"]);
  EXPECT_EQ(same["eval_loss"], whole["eval_loss"]);
  // max_length is the user's own limit, and acts with packing or without
  Words limited = packed;
  limited.push_back("dataset_config.max_length=250");
  const auto dropped = first(limited);
  EXPECT_EQ(dropped["eval_samples"], 7);
  EXPECT_EQ(dropped["eval_skipped_samples"], 1);
  limited.push_back("dataset_config.on_overlong=truncate");
  EXPECT_EQ(first(limited)["eval_samples"], 8);
}

const char* kWithoutAnswer = R"({"messages": [{"role": "user", "content": "hello"}]})"
                             "\n";

struct BadSet {
  std::string file, says;
  const char* when = "trainer_args.eval_strategy=epoch";
};

TEST(BadEvaluation, is_refused_before_the_first_step) {
  const std::string good = chat_line("Count.", "1 2 3");
  for (const BadSet& bad : std::initializer_list<BadSet>{
           {kWithoutAnswer, "eval.jsonl:1: no token of it is trained"},
           {kWithoutAnswer, "eval_dataset_path", "trainer_args.eval_on_start=true"},
           {good + "{\"messages\": 7}\n", "eval.jsonl:2: "},
           {good + good + "{\"messages\": [\n", "eval.jsonl:3: "},
           {"", "eval.jsonl: holds no row"},
           {"\n\n", "eval.jsonl: holds no row"}}) {
    const Project project;
    project.write("eval.jsonl", bad.file);
    const Ended ended = project.train({"dataset_config.eval_dataset_path=eval.jsonl", bad.when});
    EXPECT_EQ(ended.exit, 2) << bad.file;
    EXPECT_THAT(ended.err, HasSubstr(bad.says)) << bad.file;
    EXPECT_FALSE(std::filesystem::exists(project / "out/journal.jsonl")) << bad.file;
  }
}

TEST(BadEvaluation, is_refused_by_eval_in_the_same_words) {
  const Project project;
  project.write("eval.jsonl", chat_line("Count.", "1 2 3") + "{\"messages\": 7}\n");
  const std::string set = "dataset_config.eval_dataset_path=eval.jsonl";
  const Ended ended = run({"eval", "config.yaml", pretrained().string(), set}, project.here());
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("eval.jsonl:2: "));
  const auto last_words = [](const std::string& text) {
    return text.substr(text.find("eval.jsonl:2: "));
  };
  EXPECT_EQ(last_words(project.train({set, "trainer_args.eval_strategy=epoch"}).err),
            last_words(ended.err));
}

// To the bits of a run that was never stopped.
void expect_to_go_on(const Project& project, const Words& words, const std::string& checkpoint) {
  EXPECT_THAT(project.train_to_the_end(words).err, HasSubstr("going on from out/" + checkpoint));
  Words other = words;
  other.push_back("trainer_args.output_dir=at_once");
  project.train_to_the_end(other);
  EXPECT_TRUE(weights(project / "out") == weights(project / "at_once"));
  EXPECT_EQ(steady_metrics(project / "out"), steady_metrics(project / "at_once"));
}

TEST(BadEvaluation, that_is_found_late_costs_no_step) {
  const Project project;
  std::string rows = chat_line("Count.", "1 2 3");
  for (int i = 0; i < 1100; ++i) rows += kWithoutAnswer;
  project.write("eval.jsonl", rows + "{\"messages\": 7}\n");
  const Words words{"dataset_config.eval_dataset_path=eval.jsonl",
                    "trainer_args.eval_strategy=steps", "trainer_args.eval_steps=4",
                    "trainer_args.max_steps=6", "trainer_args.save_steps=100"};
  const Ended ended = project.train(words);
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("saved step 4: "));
  EXPECT_THAT(ended.err, HasSubstr("eval.jsonl:1102: "));
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre("checkpoint-4"));
  project.write("eval.jsonl", rows + chat_line("Count on.", "4 5"));
  expect_to_go_on(project, words, "checkpoint-4");
}

TEST(BadRecord, in_the_middle_of_training_costs_no_step_before_it) {
  const Project project;
  std::string bad = read_file(project / "train.jsonl").take();
  size_t line = 0;
  for (int i = 0; i < 14; ++i) line = bad.find('\n', line) + 1;
  bad.replace(line, 1, "<");  // row 15, which step 4 trains
  project.write("train.jsonl", bad);
  const Words words{"dataset_config.shuffle=false", "trainer_args.max_steps=6",
                    "trainer_args.save_strategy=no"};
  const Ended ended = project.train(words);
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("saved step 3: "));
  EXPECT_THAT(ended.err, HasSubstr("train.jsonl:15: "));
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre("checkpoint-3"));
  EXPECT_EQ(project.train(words).exit, 2);  // and again: there is nothing new to save
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre("checkpoint-3"));
  Words skipping = words;
  skipping.push_back("dataset_config.on_bad_sample=skip");
  expect_to_go_on(project, skipping, "checkpoint-3");
}

TEST(BadRecord, at_the_first_step_leaves_nothing) {
  const Project project;
  project.write("train.jsonl", "{\"messages\": 7}\n" + chat_line("Count.", "1 2 3"));
  const Ended ended = project.train({"dataset_config.shuffle=false"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, testing::Not(HasSubstr("saved step")));
}

}  // namespace
}  // namespace lmms::e2e
