// The same command again: after the end, after a stop, with another config or other data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;

TEST(Finished, run_says_so_and_changes_nothing) {
  const Project project;
  project.train_to_the_end({"trainer_args.num_train_epochs=1"});
  const auto before = contents(project / "out");
  const Ended second_run = project.train_to_the_end({"trainer_args.num_train_epochs=1"});
  EXPECT_THAT(second_run.err, HasSubstr("finished"));
  EXPECT_EQ(contents(project / "out"), before);
}

TEST(Finished, run_says_so_without_checkpoints_too) {
  const Project project;
  const Words words{"trainer_args.max_steps=3", "trainer_args.save_strategy=no"};
  project.train_to_the_end(words);
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre());
  const auto before = contents(project / "out");
  EXPECT_THAT(project.train_to_the_end(words).err, HasSubstr("finished"));
  EXPECT_EQ(contents(project / "out"), before);
}

TEST(Finished, run_with_a_change_that_trains_no_step_is_still_finished) {
  const Project project;
  Words words{"trainer_args.max_steps=4", "trainer_args.eval_strategy=steps",
              "trainer_args.eval_steps=2", "dataset_config.eval_dataset_path=eval.jsonl",
              "trainer_args.eval_on_start=true"};
  project.train_to_the_end(words);
  const auto before = contents(project / "out");
  words.push_back("trainer_args.learning_rate=1e-3");
  const Ended second_run = project.train_to_the_end(words);
  EXPECT_THAT(second_run.err, HasSubstr("finished"));
  EXPECT_EQ(contents(project / "out"), before);
}

TEST(Finished, run_goes_on_when_more_steps_are_asked_for) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=4"});
  const Ended more = project.train_to_the_end({"trainer_args.max_steps=7"});
  EXPECT_THAT(more.err, HasSubstr("going on from out/checkpoint-4"));
  EXPECT_THAT(more.err, HasSubstr("trainer_args.max_steps: 7, before: 4"));
  EXPECT_THAT(column(metrics(project / "out"), "step"), ElementsAre(1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(weights(project / "out"), weights(project / "out/checkpoint-7"));
}

TEST(GoingOn, false_starts_anew_and_moves_old_checkpoints_aside) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=6"});
  const auto before = steady_metrics(project / "out");
  const std::string first = weights(project / "out");
  const Ended second_run = project.train_to_the_end(
      {"trainer_args.max_steps=6", "trainer_args.resume_from_checkpoint=false"});
  EXPECT_THAT(second_run.err, HasSubstr("moved aside: out/checkpoint-6.old"));
  EXPECT_EQ(steady_metrics(project / "out"), before);
  EXPECT_EQ(weights(project / "out"), first);
  EXPECT_TRUE(fs::exists(project / "out/checkpoint-6.old/model.safetensors"));
}

TEST(GoingOn, a_path_goes_on_from_there_and_repeats_the_run) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=12"});
  const auto before = steady_metrics(project / "out");
  const std::string first = weights(project / "out");
  const Ended second_run = project.train_to_the_end(
      {"trainer_args.max_steps=12", "trainer_args.resume_from_checkpoint=out/checkpoint-5"});
  EXPECT_THAT(second_run.err, HasSubstr("going on from out/checkpoint-5"));
  // later ones belong to the run that was left
  EXPECT_THAT(second_run.err, HasSubstr("moved aside: out/checkpoint-12.old"));
  EXPECT_EQ(steady_metrics(project / "out"), before);
  EXPECT_EQ(weights(project / "out"), first);
  EXPECT_TRUE(fs::exists(project / "out/checkpoint-5/model.safetensors"));
}

TEST(GoingOn, a_path_of_another_folder_leaves_that_folder_alone) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=8"});
  const auto before = contents(project / "out");
  project.train_to_the_end({"trainer_args.max_steps=8", "trainer_args.output_dir=other",
                            "trainer_args.resume_from_checkpoint=out/checkpoint-5/"});
  EXPECT_THAT(column(metrics(project / "other"), "step"), ElementsAre(6, 7, 8));
  EXPECT_EQ(weights(project / "other"), weights(project / "out"));
  EXPECT_EQ(contents(project / "out"), before);
}

TEST(GoingOn, a_path_that_is_no_checkpoint_is_an_error) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=2"});
  const Ended missing = project.train({"trainer_args.resume_from_checkpoint=out/checkpoint-3"});
  EXPECT_EQ(missing.exit, 2);
  EXPECT_THAT(missing.err, HasSubstr("out/checkpoint-3"));
  const Ended model = project.train({"trainer_args.resume_from_checkpoint=out"});
  EXPECT_EQ(model.exit, 2);
  EXPECT_THAT(model.err, HasSubstr("trainer_args.resume_from_checkpoint"));
}

TEST(GoingOn, names_what_changed_in_the_config) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=5"});
  const Ended second_run = project.train_to_the_end(
      {"trainer_args.max_steps=6", "trainer_args.learning_rate=0.02", "trainer_args.save_steps=3",
       "trainer_args.dataloader_num_workers=2"});
  EXPECT_THAT(second_run.err, HasSubstr("trainer_args.learning_rate: 0.02, before: 0.01"));
  // what changes neither mathematics nor order is not worth a line
  EXPECT_THAT(second_run.err, Not(HasSubstr("save_steps")));
  EXPECT_THAT(second_run.err, Not(HasSubstr("dataloader_num_workers")));
}

TEST(GoingOn, keeps_the_rows_of_a_step) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=5"});
  const Ended second_run = project.train_to_the_end(
      {"trainer_args.max_steps=8", "trainer_args.per_device_train_batch_size=2"});
  EXPECT_THAT(second_run.err, HasSubstr("rows a step 4"));
  EXPECT_THAT(second_run.err, HasSubstr("a step keeps its 4 rows"));
  EXPECT_THAT(column(metrics(project / "out"), "samples"), ElementsAre(4, 4, 4, 4, 4, 4, 4, 4));
  const Ended refused = project.train({"trainer_args.max_steps=9", "trainer_args.global_rows=8"});
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, HasSubstr("4 rows a step"));
}

TEST(GoingOn, refuses_other_data) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=5"});
  project.write("train.jsonl", read_file(project / "train.jsonl").take() + chat_line("a", "b"));
  const Ended longer = project.train({"trainer_args.max_steps=8"});
  EXPECT_EQ(longer.exit, 2);
  EXPECT_THAT(longer.err, HasSubstr("40"));
  EXPECT_THAT(longer.err, HasSubstr("41"));
  EXPECT_THAT(longer.err, HasSubstr("resume_from_checkpoint: false"));
}

/// The lines of a file, the last half first.
std::string rotated(const std::string& text) {
  size_t middle = text.find('\n', text.size() / 2) + 1;
  return text.substr(middle) + text.substr(0, middle);
}

TEST(GoingOn, refuses_data_whose_content_has_changed) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=5"});
  const auto before = contents(project / "out");
  const std::string text = read_file(project / "train.jsonl").take();
  project.write("train.jsonl", rotated(text));
  const Ended other = project.train({"trainer_args.max_steps=8"});
  EXPECT_EQ(other.exit, 2);
  EXPECT_THAT(other.err, HasSubstr("out/checkpoint-5: the data has changed since this checkpoint: "
                                   "train.jsonl: other content, of the same size"));
  EXPECT_THAT(other.err, HasSubstr("resume_from_checkpoint: false"));
  EXPECT_THAT(other.err, HasSubstr("dataset_config.on_changed_data: go_on"));
  EXPECT_EQ(weights(project / "out"), before.at("model.safetensors"));

  project.write("train.jsonl", text);
  project.train_to_the_end({"trainer_args.max_steps=8"});
}

TEST(GoingOn, takes_changed_data_where_it_is_told_to) {
  const Project project;
  const Words words{"dataset_config.shuffle=false", "dataset_config.on_changed_data=go_on"};
  const auto until = [&](const std::string& steps) {
    Words all = words;
    all.push_back("trainer_args.max_steps=" + steps);
    return project.train_to_the_end(all).err;
  };
  until("5");
  const std::string text = read_file(project / "train.jsonl").take();
  project.write("train.jsonl", rotated(text));
  EXPECT_THAT(until("7"), HasSubstr("the data has changed since out/checkpoint-5, and the run goes "
                                    "on at the same place: train.jsonl: other content"));
  // the next checkpoint knows the data that it was trained with
  EXPECT_THAT(until("8"), Not(HasSubstr("the data has changed")));
}

TEST(GoingOn, says_nothing_of_the_same_data_written_again_or_elsewhere) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=5"});
  const std::string text = read_file(project / "train.jsonl").take();
  fs::remove(project / "train.jsonl");
  project.write("moved.jsonl", text);
  fs::last_write_time(project / "moved.jsonl", fs::file_time_type::clock::now());
  for (const char* path : {"./moved.jsonl", "../{}/moved.jsonl"}) {
    const std::string name = (project / "").parent_path().filename().string();
    std::string spelled = path;
    if (const size_t at = spelled.find("{}"); at != std::string::npos) spelled.replace(at, 2, name);
    const Ended second_run = project.train_to_the_end(
        {path[1] == '/' ? "trainer_args.max_steps=6" : "trainer_args.max_steps=7",
         "dataset_config.dataset_path=" + spelled});
    EXPECT_THAT(second_run.err, HasSubstr("going on from"));
    EXPECT_THAT(second_run.err, Not(HasSubstr("moved.jsonl, before")));
    EXPECT_THAT(second_run.err, Not(HasSubstr("has changed")));
    EXPECT_THAT(second_run.err, Not(HasSubstr("dataset_path")));
  }
}

TEST(GoingOn, names_the_changed_file_of_a_mixture_and_its_other_media_folder) {
  const Project project;
  project.write("more.jsonl", chat_line("Who?", "Me.") + chat_line("Why?", "So."));
  project.write("mix.yaml",
                "datasets: [{path: train.jsonl}, {path: more.jsonl, data_folder: media}]\n");
  const Words mixture{"dataset_config.dataset_format=yaml", "dataset_config.dataset_path=mix.yaml"};
  const auto until = [&](const std::string& steps) {
    Words words = mixture;
    words.push_back("trainer_args.max_steps=" + steps);
    return project.train(words);
  };
  ASSERT_EQ(until("4").exit, 0);
  project.write("mix.yaml",
                "datasets: [{path: ./train.jsonl}, {path: more.jsonl, data_folder: other}]\n");
  const Ended folder = until("5");
  EXPECT_EQ(folder.exit, 0) << folder.err;
  EXPECT_THAT(folder.err, HasSubstr("data_folder of more.jsonl: 'other', before: 'media'"));
  project.write("more.jsonl", chat_line("Why?", "So.") + chat_line("Who?", "Me."));
  const Ended file = until("6");
  EXPECT_EQ(file.exit, 2);
  EXPECT_THAT(file.err, HasSubstr("more.jsonl: other content, of the same size"));
  EXPECT_THAT(file.err, Not(HasSubstr("train.jsonl: other")));
}

TEST(GoingOn, goes_on_from_a_checkpoint_without_fingerprints) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=3"});
  const fs::path file = project / "out/checkpoint-3/resume/state.json";
  std::string state = read_file(file).take();
  const size_t key = state.find("\"fingerprints\"");
  ASSERT_NE(key, std::string::npos);
  state[key + 1] = '_';  // as good as absent, and the file keeps its size
  write_atomically(file, state);
  without_checksums(project / "out/checkpoint-3");
  project.write("train.jsonl", rotated(read_file(project / "train.jsonl").take()));
  project.train_to_the_end({"trainer_args.max_steps=4"});
}

TEST(GoingOn, names_another_evaluation_where_the_learning_rate_follows_it) {
  const Project project;
  const auto until = [&](const std::string& steps, const std::string& schedule,
                         const Words& changes) {
    Words words{"trainer_args.max_steps=" + steps, "trainer_args.lr_scheduler_type=" + schedule,
                "dataset_config.eval_dataset_path=eval.jsonl", "trainer_args.eval_strategy=steps",
                "trainer_args.eval_steps=2"};
    words.insert(words.end(), changes.begin(), changes.end());
    return project.train_to_the_end(words).err;
  };
  const std::string text = read_file(project / "eval.jsonl").take();
  until("2", "reduce_lr_on_plateau", {});
  EXPECT_THAT(until("3", "reduce_lr_on_plateau", {"dataset_config.eval_dataset_path=./eval.jsonl"}),
              Not(HasSubstr("eval_dataset_path")));
  EXPECT_THAT(until("4", "reduce_lr_on_plateau", {"trainer_args.eval_steps=1"}),
              HasSubstr("trainer_args.eval_steps: 1.0, before: 2.0"));
  project.write("eval.jsonl", rotated(text));
  EXPECT_THAT(until("5", "reduce_lr_on_plateau", {"trainer_args.eval_steps=1"}),
              HasSubstr("the evaluation set, which the learning rate follows: eval.jsonl: other "
                        "content, of the same size"));
  // else it bears on nothing
  fs::remove_all(project / "out");
  until("2", "constant", {});
  project.write("eval.jsonl", text);
  const std::string quiet = until("3", "constant", {"trainer_args.eval_steps=1"});
  EXPECT_THAT(quiet, Not(HasSubstr("eval_steps")));
  EXPECT_THAT(quiet, Not(HasSubstr("evaluation set")));
}

TEST(GoingOn, takes_other_number_types_up) {
  const Project project;
  const Words steady{"trainer_args.lr_scheduler_type=constant", "trainer_args.learning_rate=1e-3"};
  const auto until = [&](const std::string& steps, const std::string& change) {
    Words words = steady;
    words.push_back("trainer_args.max_steps=" + steps);
    words.push_back(change);
    return project.train_to_the_end(words).err;
  };
  until("3", "trainer_args.bf16=false");
  EXPECT_THAT(until("6", "trainer_args.bf16=true"),
              HasSubstr("trainer_args.bf16: true, before: false"));
  until("9", "trainer_args.save_dtype=float16");
  until("12", "trainer_args.bf16=false");
  const auto mixed = column(metrics(project / "out"), "loss");
  until("12", "trainer_args.output_dir=whole");
  const auto fp32 = column(metrics(project / "whole"), "loss");
  ASSERT_EQ(mixed.size(), 12u);
  for (size_t i = 0; i < mixed.size(); ++i) EXPECT_NEAR(mixed[i], fp32[i], 0.01 * fp32[i]);
}

TEST(GoingOn, says_that_the_device_is_another) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=3"});
  const fs::path file = project / "out/checkpoint-3/resume/state.json";
  std::string state = read_file(file).take();
  const std::string key = "\"device\": \"";
  const size_t name = state.find(key);
  ASSERT_NE(name, std::string::npos);
  state[name + key.size()] = '?';
  write_atomically(file, state);
  without_checksums(project / "out/checkpoint-3");
  EXPECT_THAT(project.train_to_the_end({"trainer_args.max_steps=4"}).err,
              HasSubstr("the checkpoint was written on ?"));
}

TEST(GoingOn, refuses_another_model) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=2"});
  const Ended wider = project.train(
      {"trainer_args.max_steps=4", "model_config.load_from_config.config.hidden_size=64"});
  EXPECT_EQ(wider.exit, 2);
  EXPECT_THAT(wider.err, HasSubstr("checkpoint-2"));
  EXPECT_THAT(wider.err, HasSubstr("[4096, 32]"));
}

TEST(GoingOn, passes_over_a_torn_checkpoint) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=12"});
  const auto before = steady_metrics(project / "out");
  const std::string first = weights(project / "out");
  fs::resize_file(project / "out/checkpoint-12/resume/first_moment.safetensors", 100);
  fs::remove(project / "out/finished.json");
  const Ended second_run = project.train_to_the_end({"trainer_args.max_steps=12"});
  EXPECT_THAT(second_run.err, HasSubstr("not gone on from out/checkpoint-12"));
  EXPECT_THAT(second_run.err, HasSubstr("going on from out/checkpoint-10"));
  EXPECT_EQ(steady_metrics(project / "out"), before);
  EXPECT_EQ(weights(project / "out"), first);
}

TEST(GoingOn, says_that_another_number_of_threads_gives_other_bits) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=5"});
  Surroundings two = project.here();
  two.math_threads = 2;
  const Ended second_run = run(Project::command({"trainer_args.max_steps=6"}), two);
  EXPECT_EQ(second_run.exit, 0);
  EXPECT_THAT(second_run.err, HasSubstr("written with 1 threads, this run has 2"));
}

TEST(OutputFolder, belongs_to_one_run_at_a_time) {
  const Project project;
  Running first(Project::command({"trainer_args.max_steps=100000", "trainer_args.save_steps=1000"}),
                project.here());
  ASSERT_TRUE(first.until([&] { return fs::exists(project / "out/metrics.jsonl"); }));
  const Ended second = project.train();
  EXPECT_EQ(second.exit, 1);
  EXPECT_THAT(second.err, HasSubstr("another run"));
}

/// Rows of metrics that a running program has written.
int64_t rows(const fs::path& output) {
  const auto text = read_file(output / "metrics.jsonl");
  return text ? std::count(text->begin(), text->end(), '\n') : 0;
}

class StopSignal : public testing::TestWithParam<int> {};

TEST_P(StopSignal, saves_after_the_step_and_the_same_command_goes_on) {
  const Words words{"trainer_args.num_train_epochs=6", "trainer_args.save_steps=1000",
                    "trainer_args.eval_strategy=steps", "trainer_args.eval_steps=1",
                    "dataset_config.eval_dataset_path=eval.jsonl"};
  const Project whole;
  whole.train_to_the_end(words);

  const Project project;
  Running running(Project::command(words), project.here());
  ASSERT_TRUE(running.until([&] { return rows(project / "out") >= 5; }));
  running.send(GetParam());
  const Ended stopped = running.wait();
  ASSERT_EQ(stopped.exit, 3) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("the same command goes on from there"));
  ASSERT_EQ(checkpoints(project / "out").size(), 1u);
  EXPECT_FALSE(fs::exists(project / "out/model.safetensors"));

  project.train_to_the_end(words);
  EXPECT_EQ(steady_metrics(project / "out"), steady_metrics(whole / "out"));
  EXPECT_EQ(weights(project / "out"), weights(whole / "out"));
}

INSTANTIATE_TEST_SUITE_P(Signals, StopSignal, testing::Values(SIGTERM, SIGINT, SIGHUP),
                         [](const auto& each) -> std::string {
                           if (each.param == SIGHUP) return "HUP";
                           return each.param == SIGINT ? "INT" : "TERM";
                         });

TEST(SecondInterrupt, ends_the_program_at_once) {
  const Project project;
  std::string text;  // a step of a second or so
  for (int i = 0; i < 400; ++i) text += chat_line("Go on.", std::string(1500, "abcdefgh"[i % 8]));
  project.write("train.jsonl", text);
  Running running(Project::command({"trainer_args.per_device_train_batch_size=100"}),
                  project.here());
  ASSERT_TRUE(running.until([&] { return rows(project / "out") >= 1; }));
  running.runs_for(std::chrono::milliseconds(100));  // into the second step
  running.send(SIGINT);
  running.runs_for(std::chrono::milliseconds(5));
  running.send(SIGINT);
  const Ended ended = running.wait();
  EXPECT_EQ(ended.exit, 128 + SIGINT) << ended.err;
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre());
}

TEST(EarlyStop, before_the_first_step_saves_nothing) {
  const Project project;
  std::string many;
  for (int i = 0; i < 3000; ++i) many += chat_line("Count on.", std::string(300, 'a'));
  project.write("eval.jsonl", many);
  Running running(Project::command({"trainer_args.eval_on_start=true",
                                    "dataset_config.eval_dataset_path=eval.jsonl"}),
                  project.here());
  ASSERT_TRUE(running.until([&] { return fs::exists(project / "out/config.resolved.yaml"); }));
  running.send(SIGTERM);
  const Ended stopped = running.wait();
  EXPECT_EQ(stopped.exit, 3) << stopped.err;
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre());
  EXPECT_THAT(stopped.err, HasSubstr("before the first step"));
}

TEST(Saving, keeps_the_newest_checkpoints) {
  const Project project;
  project.train_to_the_end({"trainer_args.save_total_limit=2"});
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre("checkpoint-15", "checkpoint-20"));
}

TEST(Saving, follows_its_strategy) {
  const Project project;
  const auto saved = [&](const Words& words) {
    Words all{"trainer_args.num_train_epochs=1.5"};
    all.insert(all.end(), words.begin(), words.end());
    fs::remove_all(project / "out");
    project.train_to_the_end(all);
    return checkpoints(project / "out");
  };
  EXPECT_THAT(saved({"trainer_args.save_strategy=epoch"}),
              ElementsAre("checkpoint-10", "checkpoint-15"));
  EXPECT_THAT(saved({"trainer_args.save_steps=0.4"}),
              ElementsAre("checkpoint-6", "checkpoint-12", "checkpoint-15"));
  EXPECT_THAT(saved({"trainer_args.save_strategy=no"}), ElementsAre());
}

}  // namespace
}  // namespace lmms::e2e
