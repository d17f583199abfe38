// What `lmms train` shows while it runs, and train.log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <sstream>
#include <thread>

#include "core/files.h"
#include "tests/e2e/project.h"
#include "tests/e2e/terminal.h"

namespace lmms::e2e {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

/// The lines of a text that hold `part`, from where it stands on.
std::vector<std::string> lines_with(const std::string& text, const std::string& part) {
  std::vector<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (const size_t at = line.find(part); at != std::string::npos) out.push_back(line.substr(at));
  return out;
}

std::string run_log(const Project& project) {
  return read_file(project / "out/train.log").take();
}

/// Rows of such data take a step a second or so.
void make_steps_slow(const Project& project) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += chat_line("Go on.", std::string(1500, "abcdefgh"[i % 8]));
  project.write("train.jsonl", text);
}

TEST(Interrupt, is_answered_at_once_in_the_middle_of_a_step) {
  const Project project;
  make_steps_slow(project);
  Terminal terminal(Project::command({"trainer_args.per_device_train_batch_size=50"}),
                    project.here());
  ASSERT_TRUE(terminal.shows("step 1/")) << terminal.screen();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // into the second
  terminal.type("\x03");
  ASSERT_TRUE(
      terminal.shows("\r\x1b[KCtrl-C: finishing step 2, then saving it. A second Ctrl-C "
                     "ends at once, and nothing is saved yet\r\n"))
      << terminal.screen();
  EXPECT_THAT(checkpoints(project / "out"), IsEmpty());  // it is in the step still
  ASSERT_TRUE(terminal.shows("interrupted by Ctrl-C; saved step 2")) << terminal.screen();
  EXPECT_EQ(terminal.wait(), 3);
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre("checkpoint-2"));
}

TEST(Interrupt, by_a_signal_is_answered_where_there_is_no_terminal) {
  const Project project;
  make_steps_slow(project);
  Running running(Project::command({"trainer_args.per_device_train_batch_size=50"}),
                  project.here());
  ASSERT_TRUE(running.until([&] {
    const auto rows = read_file(project / "out/metrics.jsonl");
    return rows && !rows->empty();
  }));
  running.send(SIGTERM);
  const Ended ended = running.wait();
  EXPECT_EQ(ended.exit, 3);
  EXPECT_THAT(ended.err, HasSubstr("SIGTERM: "));
  EXPECT_THAT(ended.err, HasSubstr("interrupted by SIGTERM; saved step"));
  EXPECT_THAT(run_log(project), HasSubstr(" SIGTERM: "));
}

TEST(DisableTqdm, prints_a_line_for_every_logged_step) {
  const Project project;
  const Ended ended =
      project.train_to_the_end({"trainer_args.disable_tqdm=true", "trainer_args.logging_steps=5"});
  std::vector<std::string> steps;
  std::istringstream lines(ended.err);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("step ")) steps.push_back(line.substr(0, line.find(" |")));
  EXPECT_THAT(steps, ElementsAre("step 5/20", "step 10/20", "step 15/20", "step 20/20"));
  for (const char* part : {" | loss ", " | lr ", " | grad norm ", " tok/s"})
    EXPECT_THAT(ended.err, HasSubstr(part));
  EXPECT_THAT(ended.err, Not(HasSubstr("\x1b")));
}

TEST(Quiet, shows_warnings_and_the_last_line_alone) {
  const Project project;
  Words words = Project::command({"trainer_args.max_steps=4"});
  words.push_back("--quiet");
  const Ended ended = run(words, project.here());
  EXPECT_EQ(ended.exit, 0);
  EXPECT_THAT(ended.err, StartsWith("finished: 4 steps, the last loss "));
  EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
  EXPECT_EQ(ended.out, "");
  EXPECT_EQ(lines_with(run_log(project), " | loss ").size(), 4u);  // train.log has all
  EXPECT_THAT(run_log(project), HasSubstr("qwen3"));

  words.back() = "-q";
  EXPECT_THAT(run(words, project.here()).err, StartsWith("notice: out: this run is finished"));
  words.push_back("trainer_args.max_step=4");
  const Ended bad = run(words, project.here());
  EXPECT_EQ(bad.exit, 2);
  EXPECT_THAT(bad.err, HasSubstr("max_steps"));
}

TEST(RunLog, tells_of_every_start_and_every_logged_step) {
  const Project project;
  const Words words{"trainer_args.max_steps=6", "trainer_args.save_steps=2"};
  Running running(Project::command(words), project.here());
  running.until([&] { return fs::exists(project / "out/checkpoint-2/resume"); });
  running.send(SIGTERM);
  const bool stopped = running.wait().exit == 3;
  project.train_to_the_end(words);
  const std::string log = run_log(project);
  const auto starts = lines_with(log, "lmms 0.");
  ASSERT_EQ(starts.size(), stopped ? 2u : 1u) << log;
  EXPECT_THAT(starts[0], HasSubstr("begins"));
  EXPECT_THAT(starts.back(), HasSubstr(stopped ? "goes on after step " : "begins"));
  for (int step = 1; step <= 6; ++step)
    EXPECT_EQ(lines_with(log, " step " + std::to_string(step) + "/6 | loss ").size(), 1u) << log;
  EXPECT_EQ(lines_with(log, " finished: 6 steps").size(), 1u) << log;
}

TEST(RunLog, has_the_error_that_ends_a_run) {
  const Project project;
  const Ended ended =
      project.train({"trainer_args.learning_rate=1e30", "trainer_args.max_skipped_steps=2",
                     "trainer_args.max_grad_norm=0"});
  EXPECT_EQ(ended.exit, 1) << ended.err;
  EXPECT_EQ(lines_with(run_log(project), " error: step ").size(), 1u) << run_log(project);
}

TEST(RunLog, is_not_made_by_a_run_that_does_not_begin) {
  const Project project;
  project.write("train.jsonl", "{\"messages\": [\n");
  EXPECT_EQ(project.train().exit, 2);
  EXPECT_FALSE(fs::exists(project / "out/train.log"));
}

TEST(RunLog, that_cannot_be_written_ends_no_run) {
  const Project project;
  fs::create_directories(project / "out/train.log/in the way");
  const Ended ended = project.train_to_the_end({"trainer_args.max_steps=2"});
  EXPECT_EQ(lines_with(ended.err, "train.log is not written").size(), 1u) << ended.err;
}

}  // namespace
}  // namespace lmms::e2e
