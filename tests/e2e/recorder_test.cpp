// What a run writes about itself besides metrics: journal, report, events, answers to prompts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

using Rows = std::vector<nlohmann::json>;

Rows journal(const fs::path& output, const std::string& kind) {
  Rows rows;
  const std::string text = read_file(output / "journal.jsonl").take();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    rows.push_back(nlohmann::json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  std::erase_if(rows, [&](const nlohmann::json& row) { return row["kind"] != kind; });
  return rows;
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

const Words kPrompts{
    "trainer_args.eval_generate={prompts: [\"Count to 3, please.\", \"Count to "
    "5, please.\"], max_new_tokens: 6}",
    "trainer_args.eval_strategy=steps", "trainer_args.eval_steps=5", "trainer_args.max_steps=10"};

Words with_prompts(const Words& more) {
  Words words = kPrompts;
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Journal, tells_start_data_checkpoints_and_end) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=7"});
  const Rows start = journal(project / "out", "start");
  ASSERT_EQ(start.size(), 1u);
  EXPECT_EQ(start[0]["step"], 0);
  EXPECT_EQ(start[0]["total_steps"], 7);
  EXPECT_EQ(start[0]["sources"][0]["rows"], 40);
  EXPECT_GT(start[0]["parameters"]["trained"], 100000);
  const Rows checkpoints = journal(project / "out", "checkpoint");
  EXPECT_THAT(column(checkpoints, "step"), ElementsAre(5, 7));
  EXPECT_GT(checkpoints[0]["bytes"], 4 * 149728 * 3);
  const nlohmann::json data = journal(project / "out", "data").back();
  const auto rows = metrics(project / "out");
  EXPECT_EQ(data["tokens"], sum(column(rows, "tokens")));
  EXPECT_EQ(data["supervised_tokens"], sum(column(rows, "supervised_tokens")));
  EXPECT_EQ(data["samples"], 28);
  const auto counts = data["length_counts"].get<std::vector<double>>();
  EXPECT_EQ(sum(counts), 28);
  EXPECT_EQ(data["length_edges"].size(), counts.size() + 1);
  EXPECT_EQ(journal(project / "out", "end").back()["state"], "finished");
}

TEST(Journal, of_a_run_that_went_on_counts_as_that_of_one_that_did_not) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=10"});
  const nlohmann::json at_once = journal(project / "out", "data").back();
  fs::remove_all(project / "out/checkpoint-10");
  fs::remove(project / "out/finished.json");
  // a kill may have torn the last line
  const std::string text = read_file(project / "out/journal.jsonl").take();
  project.write("out/journal.jsonl", text.substr(0, text.size() - 9));
  project.train_to_the_end({"trainer_args.max_steps=10"});
  std::string whole = read_file(project / "out/journal.jsonl").take();
  EXPECT_THAT(whole, HasSubstr("\n{\"kind\":\"start\""));
  const size_t torn = whole.find("\"kind\":\"end\"");
  whole.erase(whole.rfind('\n', torn) + 1, whole.find('\n', torn) - whole.rfind('\n', torn));
  project.write("out/journal.jsonl", whole);
  const Rows starts = journal(project / "out", "start");
  ASSERT_EQ(starts.size(), 2u);
  EXPECT_EQ(starts[1]["step"], 5);
  nlohmann::json second_run = journal(project / "out", "data").back();
  second_run["time"] = at_once["time"];
  EXPECT_EQ(second_run, at_once);
}

TEST(Journal, keeps_what_was_told_and_why_a_run_failed) {
  const Project project;
  project.write("train.jsonl", chat_line("Hi", "Hello") + "{rotten\n");
  const Ended ended =
      project.train({"dataset_config.shuffle=false", "trainer_args.per_device_train_batch_size=1",
                     "trainer_args.past_index=3"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(journal(project / "out", "notice")[0]["text"].get<std::string>(),
              HasSubstr("past_index"));
  const nlohmann::json end = journal(project / "out", "end").back();
  EXPECT_EQ(end["state"], "failed");
  EXPECT_THAT(end["text"].get<std::string>(), HasSubstr("train.jsonl:2"));
  EXPECT_THAT(read_file(project / "out/report.html").take(), HasSubstr("train.jsonl:2"));
}

TEST(Journal, counts_what_was_skipped_with_the_first_of_each) {
  const Project project;
  project.write("train.jsonl", chat_line("Hi", "Hello") + "{rotten\n" + chat_line("Bye", "Bye!") +
                                   "{rotten too\n");
  project.train_to_the_end({"dataset_config.on_bad_sample=skip", "dataset_config.shuffle=false",
                            "trainer_args.num_train_epochs=1",
                            "trainer_args.per_device_train_batch_size=2"});
  const nlohmann::json bad = journal(project / "out", "data").back()["skipped"]["bad"];
  EXPECT_EQ(bad["count"], 2);
  EXPECT_EQ(bad["first_where"], "train.jsonl:2");
}

TEST(Report, of_a_run_is_there_with_its_config_and_curves) {
  const Project project;
  const Ended ended = project.train_to_the_end(with_prompts({"trainer_args.run_name=a <b> run"}));
  EXPECT_THAT(ended.err, HasSubstr("report: file://"));
  const std::string page = read_file(project / "out/report.html").take();
  const auto has = [&](const char* text) { return page.find(text) != std::string::npos; };
  EXPECT_TRUE(has("a &lt;b&gt; run"));
  EXPECT_FALSE(has("a <b> run"));
  EXPECT_TRUE(has(R"(["trainer_args.max_steps","10"])"));  // changed from the defaults
  EXPECT_TRUE(has("Count to 3, please."));
}

TEST(Events, are_written_where_they_are_asked_for) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=1"});
  EXPECT_FALSE(fs::exists(project / "out/runs"));
  for (const char* sink : {"tensorboard", "wandb", "all"}) {
    const Ended ended = project.train_to_the_end({"trainer_args.max_steps=2",
                                                  std::string("trainer_args.output_dir=") + sink,
                                                  std::string("trainer_args.report_to=") + sink});
    EXPECT_THAT(ended.err, HasSubstr(std::string("tensorboard --logdir ") + sink));
    const bool tells_wandb = ended.err.find("wandb sync --sync-tensorboard") != std::string::npos;
    EXPECT_EQ(tells_wandb, sink != std::string("tensorboard"));
    size_t files = 0;
    for (const auto& file : fs::directory_iterator(project / sink / "runs" / sink))
      files += file.path().filename().string().starts_with("events.out.tfevents.") ? 1 : 0;
    EXPECT_EQ(files, 1u);
  }
}

TEST(Answers, stand_in_the_journal_of_every_evaluation_and_are_those_of_lmms_generate) {
  const Project project;
  const Ended ended = project.train_to_the_end(with_prompts({"trainer_args.eval_on_start=true"}));
  EXPECT_THAT(ended.err, HasSubstr("step 10: Count to 3, please. -> "));
  const Rows rows = journal(project / "out", "generation");
  EXPECT_THAT(column(rows, "step"), ElementsAre(0, 5, 10));
  for (const auto& row : rows) EXPECT_EQ(row["answers"].size(), 2u);
  const Ended generated =
      run({"generate", "out/checkpoint-5", "--cpu", "--json", "--max-new-tokens", "6", "--prompt",
           "Count to 3, please.", "--prompt", "Count to 5, please."},
          project.here());
  ASSERT_EQ(generated.exit, 0) << generated.err;
  const std::string& out = generated.out;
  const auto first = nlohmann::json::parse(out.substr(0, out.find('\n')));
  EXPECT_EQ(rows[1]["answers"][0]["answer"], first["answer"]);
  EXPECT_EQ(rows[1]["answers"][0]["finished"], first["finished"]);
}

TEST(Answers, come_at_the_end_too_where_the_rhythm_misses_it) {
  const Project project;
  project.train_to_the_end(with_prompts({"trainer_args.eval_steps=4"}));
  EXPECT_THAT(column(journal(project / "out", "generation"), "step"), ElementsAre(4, 8, 10));
}

TEST(Answers, change_no_bit_of_the_training) {
  const Project project;
  project.train_to_the_end(with_prompts({"trainer_args.bf16=true"}));
  const std::string answered = weights(project / "out");
  project.train_to_the_end(
      {"trainer_args.max_steps=10", "trainer_args.bf16=true", "trainer_args.output_dir=silent"});
  EXPECT_TRUE(answered == weights(project / "silent"));
}

TEST(Answers, need_a_rhythm_and_come_with_a_loss_where_there_is_a_set) {
  const Project project;
  const Ended refused = project.train({kPrompts[0]});
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, HasSubstr("eval_strategy"));
  project.train_to_the_end(with_prompts({"dataset_config.eval_dataset_path=eval.jsonl"}));
  EXPECT_EQ(column(metrics(project / "out"), "eval_loss").size(), 2u);
  EXPECT_EQ(journal(project / "out", "generation").size(), 2u);
}

}  // namespace
}  // namespace lmms::e2e
