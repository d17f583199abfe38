// The program without a run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/program.h"

namespace lmms::e2e {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(CommandLine, without_words_shows_its_sub_commands_and_fails) {
  const Ended ended = run({});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("train"));
  EXPECT_THAT(ended.err, HasSubstr("list"));
}

TEST(CommandLine, helps) {
  const Ended ended = run({"--help"});
  EXPECT_EQ(ended.exit, 0);
  for (const char* text :
       {"train", "list", "report", "--version", "Exit codes: 0 done, 2 bad config"})
    EXPECT_THAT(ended.out, HasSubstr(text));
  EXPECT_EQ(ended.err, "");
}

TEST(CommandLine, explains_every_key_of_the_config) {
  const Ended ended = run({"train", "--help"});
  EXPECT_EQ(ended.exit, 0);
  for (const char* key :
       {"trainer_args.learning_rate", "dataset_config.packing_strategy", "trainer_args.bf16",
        "model_config.load_from_pretrained_path", "dataset_config.on_bad_sample", "compat",
        "trainer_args.fsdp_config", "first_fit, best_fit, balanced"}) {
    EXPECT_THAT(ended.out, HasSubstr(key));
  }
}

TEST(CommandLine, lists_what_a_config_can_name) {
  const Ended ended = run({"list"});
  EXPECT_EQ(ended.exit, 0);
  for (const char* name : {"qwen2", "qwen3", "Qwen3ForCausalLM", "fsdp2_trainer", "adamw_torch",
                           "cosine", "pure_text", "vision", "labels", "not built yet"}) {
    EXPECT_THAT(ended.out, HasSubstr(name));
  }
  EXPECT_EQ(run({"list", "--help"}).exit, 0);
}

TEST(CommandLine, says_its_version) {
  const Ended ended = run({"--version"});
  EXPECT_EQ(ended.exit, 0);
  EXPECT_THAT(ended.out, StartsWith("lmms 0."));
}

TEST(CommandLine, refuses_what_it_does_not_know) {
  EXPECT_EQ(run({"tarin"}).exit, 2);
  EXPECT_EQ(run({"--no-such-flag"}).exit, 2);
  EXPECT_EQ(run({"train"}).exit, 2);
  EXPECT_EQ(run({"-"}).exit, 2);
  EXPECT_EQ(run({"--", "train"}).exit, 2);
  EXPECT_EQ(run({"list", "--", "x"}).exit, 2);
}

TEST(CommandLine, says_what_is_wrong_with_it_and_the_nearest_name) {
  EXPECT_EQ(run({"trian", "c.yaml"}).err,
            "lmms: there is no command 'trian'; did you mean 'train'?\n"
            "    fix: lmms --help says what each does\n");
  EXPECT_EQ(run({"generate", "out", "--promt", "hi"}).err,
            "lmms generate: there is no option '--promt'; did you mean '--prompt'?\n"
            "    fix: lmms generate --help lists all\n");
  EXPECT_EQ(run({"train"}).err,
            "lmms train: CONFIG is missing\n    fix: lmms train CONFIG [key=value ...]\n");
  EXPECT_THAT(run({"train", "c.yaml", "--trainer_args.max_steps=1"}).err,
              HasSubstr("without dashes: trainer_args.max_steps=1"));
  EXPECT_THAT(run({"list", "models"}).err, HasSubstr("'models' is a word too many"));
  EXPECT_THAT(run({"generate", "out", "--prompt", "x", "--temperature", "hot"}).err,
              HasSubstr("got 'hot'; expected a number >= 0"));
  EXPECT_THAT(run({"train", LMMS_SOURCE_DIR "/tests/e2e"}).err,
              HasSubstr("is a folder; expected a file"));
}

TEST(CommandLine, takes_the_config_as_an_option_too) {
  const std::string another = LMMS_SOURCE_DIR "/examples/chat_tiny/config.yaml";
  for (const std::vector<std::string>& words : std::initializer_list<std::vector<std::string>>{
           {"train", "--config", "none.yaml"},
           {"train", "--config=none.yaml", "trainer_args.max_steps=1"},
           {"plan", "--config", "none.yaml"},
           {"preview", "--config", "none.yaml"},
           {"eval", "--config", "none.yaml", "checkpoint"},
           {"doctor", "--no-disk-speed", "--config", "none.yaml"}}) {
    const Ended ended = run(words);
    EXPECT_EQ(ended.exit, 2);
    EXPECT_THAT(ended.out + ended.err, HasSubstr("none.yaml: cannot be opened")) << words[0];
  }
  EXPECT_THAT(run({"train", another, "--config", "b.yaml"}).err,
              HasSubstr("'b.yaml' is a second config after '" + another));
  EXPECT_THAT(run({"train", "--config", ""}).err, HasSubstr("names no file"));
}

TEST(CommandLine, refuses_to_be_one_of_many_ranks) {
  const auto ended = [](const char* command, const std::map<std::string, std::string>& variables) {
    Surroundings surroundings;
    surroundings.variables = variables;
    return run({command, "none.yaml"}, surroundings);
  };
  for (const char* command : {"train", "eval"}) {
    const Ended two = ended(command, {{"WORLD_SIZE", "2"}, {"RANK", "1"}, {"LOCAL_RANK", "1"}});
    EXPECT_EQ(two.exit, 2);
    EXPECT_THAT(two.err, HasSubstr("WORLD_SIZE=2 says that this process is one of 2")) << command;
  }
  EXPECT_THAT(ended("train", {{"RANK", "x"}}).err, HasSubstr("RANK: got 'x'"));
  EXPECT_THAT(ended("train", {{"WORLD_SIZE", "1"}, {"RANK", "0"}, {"LOCAL_RANK", "0"}}).err,
              HasSubstr("none.yaml"));
}

TEST(CommandLine, helps_in_the_manner_of_git_too) {
  const Ended ended = run({"help", "train"});
  EXPECT_EQ(ended.exit, 0);
  EXPECT_THAT(ended.out, HasSubstr("Usage: lmms train CONFIG [key=value ...] [OPTIONS]"));
  EXPECT_THAT(run({"help"}).out, HasSubstr("Usage: lmms [OPTIONS] COMMAND"));
}

TEST(CommandLine, explains_a_key_and_prints_what_shells_complete) {
  const Ended key = run({"help", "packing_length"});
  EXPECT_EQ(key.exit, 0);
  EXPECT_THAT(key.out, HasSubstr("dataset_config.packing_length"));
  const Ended typo = run({"help", "packing_lenght"});
  EXPECT_EQ(typo.exit, 2);
  EXPECT_THAT(typo.err, HasSubstr("did you mean 'packing_length'?"));
  EXPECT_THAT(run({"completion", "bash"}).out, HasSubstr("complete -F _lmms lmms"));
  EXPECT_THAT(run({"completion", "zsh"}).out, StartsWith("#compdef lmms"));
  EXPECT_EQ(run({"completion", "fish"}).exit, 2);
}

}  // namespace
}  // namespace lmms::e2e
