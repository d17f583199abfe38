// Records that cannot be trained as they are: the policies and their counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

class BadSample : public testing::Test {
 protected:
  /// Row 18 is no JSON, row 21 has no answer, row 24 is long.
  BadSample() {
    std::string text = read_file(project / "train.jsonl").take();
    std::vector<std::string> lines;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = text.find('\n', begin) + 1;
      lines.push_back(text.substr(begin, end - begin));
      begin = end;
    }
    lines[17] = "{\"messages\": [\n";
    lines[20] = R"({"messages": [{"role": "user", "content": "hello"}]})"
                "\n";
    std::string words;
    for (int i = 0; i < 300; ++i) words += "word ";
    lines[23] = chat_line("Go on.", words);
    text.clear();
    for (const std::string& line : lines) text += line;
    project.write("train.jsonl", text);
  }
  Project project;
};

TEST_F(BadSample, ends_the_run_with_file_and_row) {
  const Ended ended = project.train();
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("train.jsonl:18: "));
  EXPECT_THAT(ended.err, HasSubstr("on_bad_sample"));
}

TEST_F(BadSample, is_skipped_and_counted_where_the_policy_says_so) {
  const Ended ended = project.train_to_the_end({"dataset_config.on_bad_sample=skip"});
  const auto rows = metrics(project / "out");
  // two rows an epoch (no JSON, no answer); the long one is trained, as there is no limit
  EXPECT_EQ(rows.back()["skipped_samples"], 4);
  double samples = 0;
  for (double n : column(rows, "samples")) samples += n;
  EXPECT_EQ(samples, 2 * 38);
  EXPECT_THAT(ended.err, HasSubstr("4 records skipped: 2 bad (first: train.jsonl:18: "));
  EXPECT_THAT(ended.err, HasSubstr("2 unsupervised (first: train.jsonl:21: "));
}

TEST_F(BadSample, that_is_overlong_is_dropped_cut_or_refused) {
  const Words base{"dataset_config.on_bad_sample=skip", "dataset_config.max_length=128"};
  const auto with = [&](const std::string& policy, const std::string& output) {
    Words words = base;
    words.push_back("dataset_config.on_overlong=" + policy);
    words.push_back("trainer_args.output_dir=" + output);
    return project.train(words);
  };
  const Ended dropped = with("drop", "dropped");
  EXPECT_EQ(dropped.exit, 0) << dropped.err;
  EXPECT_EQ(metrics(project / "dropped").back()["skipped_samples"], 6);
  EXPECT_THAT(dropped.err, HasSubstr("2 overlong (first: train.jsonl:24: "));

  const Ended cut = with("truncate", "cut");
  EXPECT_EQ(cut.exit, 0) << cut.err;
  EXPECT_EQ(metrics(project / "cut").back()["skipped_samples"], 4);
  EXPECT_THAT(cut.err, HasSubstr("2 truncated (first: train.jsonl:24: "));

  const Ended refused = with("fail", "refused");
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, HasSubstr("train.jsonl:24: "));
}

TEST_F(BadSample, counts_survive_a_stop) {
  const Words words{"dataset_config.on_bad_sample=skip", "dataset_config.packing=true",
                    "dataset_config.packing_length=128", "trainer_args.save_steps=4"};
  Words part = words;
  part.push_back("trainer_args.max_steps=12");
  project.train_to_the_end(part);
  std::filesystem::remove(project / "out/finished.json");
  std::filesystem::remove_all(project / "out/checkpoint-12");
  const auto whole = steady_metrics(project / "out");
  project.train_to_the_end(part);
  EXPECT_EQ(steady_metrics(project / "out"), whole);
  EXPECT_GT(whole.back()["skipped_samples"], 0);
}

TEST(SkippedStep, without_a_target_trains_nothing_and_goes_on) {
  const Project project;
  std::string text;
  for (int i = 0; i < 8; ++i)
    text += i / 2 == 1 ? R"({"messages": [{"role": "user", "content": "hello"}]})"
                         "\n"
                       : chat_line("Count.", "1 2 3");
  project.write("train.jsonl", text);
  project.train_to_the_end({"dataset_config.shuffle=false", "trainer_args.num_train_epochs=1",
                            "trainer_args.per_device_train_batch_size=2"});
  const auto rows = metrics(project / "out");
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[1]["skipped"], true);
  EXPECT_EQ(rows[1]["tokens"], 0);
  EXPECT_TRUE(rows[1]["loss"].is_null());
  EXPECT_FALSE(rows[2].contains("skipped"));
  EXPECT_EQ(rows[2]["skipped_samples"], 2);
}

TEST(SkippedSamples, are_not_spoken_of_where_there_are_none) {
  const Project project;
  EXPECT_THAT(project.train_to_the_end({"trainer_args.max_steps=2"}).err,
              Not(HasSubstr("skipped")));
}

}  // namespace
}  // namespace lmms::e2e
