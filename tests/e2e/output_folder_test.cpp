// What stands in the output folder is never lost: the model that a run reads, an earlier run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;

const fs::path kTokenizer = LMMS_SOURCE_DIR "/examples/chat_tiny/tokenizer";
const Words kShort{"trainer_args.max_steps=2", "trainer_args.save_strategy=no"};

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Words from(const std::string& folder) {
  return {"~model_config.load_from_config", "model_config.load_from_pretrained_path=" + folder};
}

void expect_refused(const Project& project, const Words& words, const std::string& says) {
  const auto before = contents(project / "");
  const Ended refused = project.train(kShort + words);
  EXPECT_EQ(refused.exit, 2) << refused.err;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("trainer_args.output_dir"), HasSubstr(says)));
  EXPECT_EQ(contents(project / ""), before);
}

TEST(OutputFolder, that_is_the_base_is_refused_however_it_is_spelled) {
  const Project project;
  fs::copy(pretrained(), project / "base", fs::copy_options::recursive);
  fs::create_directory_symlink("base", project / "link");
  const std::string whole = (project / "base").string();
  for (const std::string& output :
       {std::string("base"), std::string("./base/"), std::string("link"), whole,
        std::string("base/../base/."), "link/../" + fs::path(whole).filename().string()}) {
    SCOPED_TRACE(output);
    expect_refused(project, from("base") + Words{"trainer_args.output_dir=" + output},
                   "would write over the folder that the model is read from");
  }
  expect_refused(project, from("link") + Words{"trainer_args.output_dir=base"}, "base");
  const Ended plan = run(Words{"plan", "config.yaml", "~trainer_args.use_cpu"} + from("base") +
                             Words{"trainer_args.output_dir=base", "trainer_args.bf16=true"},
                         project.here());
  EXPECT_EQ(plan.exit, 2);
  EXPECT_THAT(plan.err, HasSubstr("would write over"));
  // beside it, in it and around it are folders of their own
  for (const char* output : {"base-2", "base/out"})
    project.train_to_the_end(from("base") + kShort +
                             Words{std::string("trainer_args.output_dir=") + output});
  EXPECT_EQ(weights(project / "base"), weights(pretrained()));
}

TEST(OutputFolder, that_replaces_parts_of_the_base_is_refused) {
  const Project project;
  project.train_to_the_end(
      {"trainer_args.max_steps=2", "trainer_args.save_steps=2", "trainer_args.ema_enabled=true"});
  for (const char* base : {"out/checkpoint-2", "out/ema", "out/checkpoint-2/ema"})
    expect_refused(project, from(base), "would write over");
  fs::create_directory(project / "links");
  for (const char* name : {"config.json", "model.safetensors"})
    fs::create_symlink("../out/" + std::string(name), project / "links" / name);
  expect_refused(project, from("links"), "a link");
}

TEST(OutputFolder, that_is_the_tokenizers_is_refused) {
  const Project project;
  fs::copy(kTokenizer, project / "out");
  expect_refused(project, {"dataset_config.processor_config.processor_name=out"},
                 "would write over the folder that the tokenizer is read from");
}

TEST(OutputFolder, with_a_model_of_another_program_keeps_it) {
  const Project project;
  for (const char* name : {"config.json", "model-00001-of-00001.safetensors", "merges.txt",
                           "pytorch_model.bin", "adapter_config.json"}) {
    fs::create_directories(project / "out");
    project.write(fs::path("out") / name, std::string("theirs: ") + name);
  }
  project.write("out/notes.txt", "mine");
  const Ended ended = project.train_to_the_end(kShort);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("files that this program did not write"),
                               HasSubstr("moved aside: out/old")));
  for (const char* name : {"config.json", "model-00001-of-00001.safetensors", "merges.txt",
                           "pytorch_model.bin", "adapter_config.json"}) {
    EXPECT_EQ(read_file(project / "out/old" / name).take(), std::string("theirs: ") + name);
  }
  EXPECT_FALSE(fs::exists(project / "out/pytorch_model.bin"));
  EXPECT_EQ(read_file(project / "out/notes.txt").take(), "mine");
}

/// Rows of metrics that a running program has written.
int64_t rows(const fs::path& output) {
  const auto text = read_file(output / "metrics.jsonl");
  return text ? std::count(text->begin(), text->end(), '\n') : 0;
}

TEST(EarlierRun, is_moved_aside_whole_and_told) {
  const Project project;
  const Words words = kShort + Words{"trainer_args.report_to=tensorboard"};
  project.train_to_the_end(words + Words{"trainer_args.ema_enabled=true"});
  auto first = contents(project / "out");
  const Ended second = project.train_to_the_end(words + Words{"trainer_args.learning_rate=0.003"});
  EXPECT_THAT(second.err, AllOf(HasSubstr("earlier run"), HasSubstr("moved aside: out/old"),
                                HasSubstr("trainer_args.learning_rate: 0.003, before: 0.01")));
  EXPECT_EQ(contents(project / "out/old"), first);
  const fs::path events = project / "out/runs/out";
  EXPECT_EQ(std::distance(fs::directory_iterator(events), {}), 1);
  EXPECT_THAT(column(metrics(project / "out"), "learning_rate"), ElementsAre(0.003, 0.0015));
  for (const char* folder : {"out", "out/old"}) {
    const Ended report = run({"report", folder}, project.here());
    EXPECT_EQ(report.exit, 0) << report.err;
  }
  // again and again, nothing is lost
  project.train_to_the_end(words + Words{"trainer_args.learning_rate=0.004"});
  EXPECT_THAT(column(metrics(project / "out/old2"), "learning_rate"), ElementsAre(0.003, 0.0015));
  first = contents(project / "out");
  project.train_to_the_end(words + Words{"trainer_args.learning_rate=0.004"});  // is finished
  EXPECT_EQ(contents(project / "out"), first);
}

TEST(EarlierRun, of_the_same_config_is_moved_aside_where_false_asks_for_another) {
  const Project project;
  project.train_to_the_end(kShort);
  const auto first = contents(project / "out");
  const Ended second_run =
      project.train_to_the_end(kShort + Words{"trainer_args.resume_from_checkpoint=false"});
  EXPECT_THAT(second_run.err, HasSubstr("moved aside: out/old"));
  EXPECT_EQ(contents(project / "out/old"), first);
  EXPECT_EQ(weights(project / "out"), weights(project / "out/old"));
}

TEST(EarlierRun, that_was_killed_without_a_checkpoint_is_begun_again_by_its_own_config_only) {
  const Project project;
  const Words words{"trainer_args.max_steps=100000", "trainer_args.save_strategy=no"};
  const auto begun = [&] {
    std::error_code absent;
    return fs::last_write_time(project / "out/config.resolved.yaml", absent);
  };
  const auto kill = [&](const Words& more) {
    const auto before = begun();
    Running running(Project::command(words + more), project.here());
    EXPECT_TRUE(running.until([&] { return begun() != before && rows(project / "out") >= 2; }));
    running.send(SIGKILL);
    return running.wait().err;
  };
  kill({});
  EXPECT_THAT(kill({"trainer_args.dataloader_num_workers=2"}), Not(HasSubstr("moved aside")));
  EXPECT_THAT(kill({"trainer_args.learning_rate=0.003"}), HasSubstr("moved aside: out/old"));
  EXPECT_GE(column(metrics(project / "out/old"), "loss").size(), 2u);
}

TEST(EarlierRun, whose_move_was_cut_short_is_moved_whole_by_the_next_start) {
  const Project project;
  project.train_to_the_end(kShort);
  const auto first = contents(project / "out");
  fs::create_directory(project / "out/.moving-aside");
  for (const char* name : {"finished.json", "config.json", "model.safetensors"})
    fs::rename(project / "out" / name, project / "out/.moving-aside" / name);
  const Ended next = project.train_to_the_end(kShort);
  EXPECT_THAT(next.err, HasSubstr("a move that was cut short is finished: out/old"));
  EXPECT_EQ(contents(project / "out/old"), first);
  EXPECT_EQ(weights(project / "out"), weights(project / "out/old"));
  EXPECT_FALSE(fs::exists(project / "out/.moving-aside"));
}

TEST(SideFiles, are_in_every_checkpoint_though_their_folder_is_gone) {
  const Project project;
  fs::copy(kTokenizer, project / "tokenizer");
  project.write("tokenizer/processor_config.json", "{}");
  project.write("tokenizer/chat_template.jinja",
                "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + "
                "'<|im_end|>\n' }}{% endfor %}");
  Running running(
      Project::command({"dataset_config.processor_config.processor_name=tokenizer",
                        "trainer_args.max_steps=100000", "trainer_args.save_steps=1000000"}),
      project.here());
  ASSERT_TRUE(running.until([&] { return rows(project / "out") >= 1; }));
  const auto files = contents(project / "tokenizer");
  fs::remove_all(project / "tokenizer");
  running.send(SIGTERM);
  const Ended stopped = running.wait();
  ASSERT_EQ(stopped.exit, 3) << stopped.err;
  ASSERT_EQ(checkpoints(project / "out").size(), 1u);
  const fs::path saved = project / "out" / checkpoints(project / "out").front();
  for (const auto& [name, text] : files) EXPECT_EQ(read_file(saved / name).take(), text) << name;
}

}  // namespace
}  // namespace lmms::e2e
