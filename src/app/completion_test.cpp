#include "app/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "train/config_help.h"

namespace lmms::app {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using Words = std::vector<std::string>;

/// A program of three commands, and a folder with files, in which a shell completes.
class ShellCompletion : public testing::Test {
 protected:
  ShellCompletion() {
    std::string name = (fs::temp_directory_path() / "lmms-shell-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    for (const char* file : {"a.yaml", "b.yml", "chats.jsonl"})
      std::ofstream(folder_ / file) << "x";
    CLI::App app("", "lmms");
    CLI::App* plan = app.add_subcommand("plan", "It's a plan: of memory");
    std::vector<std::string> words;
    std::string text;
    bool json = false;
    plan->add_option("words", words, "")->type_name("CONFIG [key=value ...]");
    plan->add_option("--card", text, "The GPU")->type_name("CARD");
    plan->add_option("--steps", text, "Steps")->type_name("N");
    plan->add_flag("--json", json, "JSON");
    app.add_subcommand("completion", "A script")
        ->add_option("shell", text, "")
        ->type_name("bash|zsh");
    app.add_subcommand("help", "Help")->add_option("words", words, "")->type_name("[COMMAND ...]");
    completion_ = completion_of(app, train::config_keys(), {"h100", "h200", "a100-40gb"});
  }
  ~ShellCompletion() override { fs::remove_all(folder_); }

  /// What bash offers for the last of the words, which are cut as readline cuts them.
  Words bash(const Words& words) const {
    std::ofstream(folder_ / "lmms.bash") << bash_completion(completion_);
    std::string line = "cd '" + folder_.string() + "' && cat > run.sh <<'END'\n. ./lmms.bash\n" +
                       "COMP_WORDBREAKS=$' \\t\\n><=;|&(:'\nCOMP_WORDS=(lmms";
    for (const std::string& word : words) line += " '" + word + "'";
    line += ")\nCOMP_CWORD=" + std::to_string(words.size()) +
            "\n_lmms\nprintf '%s\\n' \"${COMPREPLY[@]}\"\nEND\nbash --norc --noprofile run.sh 2>&1";
    std::FILE* pipe = ::popen(line.c_str(), "r");
    std::string out;
    for (int c = 0; (c = std::fgetc(pipe)) != EOF;) out += static_cast<char>(c);
    EXPECT_EQ(::pclose(pipe), 0) << out;
    Words answers;
    std::istringstream lines(out);
    for (std::string answer; std::getline(lines, answer);) {
      if (!answer.empty()) answers.push_back(answer);
    }
    return answers;
  }

  fs::path folder_;
  Completion completion_;
};

TEST_F(ShellCompletion, offers_commands_options_and_files) {
  EXPECT_THAT(bash({"pl"}), ElementsAre("plan"));
  EXPECT_THAT(bash({""}), ElementsAre("plan", "completion", "help"));
  EXPECT_THAT(bash({"plan", "--"}), IsSupersetOf({"--card", "--steps", "--json", "--help"}));
  EXPECT_THAT(bash({"plan", ""}), testing::UnorderedElementsAre("a.yaml", "b.yml"));
  EXPECT_THAT(bash({"completion", ""}), ElementsAre("bash", "zsh"));
  EXPECT_THAT(bash({"completion", "bash", ""}), IsEmpty());
  EXPECT_THAT(bash({"nothing", ""}), IsEmpty());
}

TEST_F(ShellCompletion, offers_keys_piece_by_piece_behind_the_config) {
  EXPECT_THAT(bash({"plan", "a.yaml", ""}),
              IsSupersetOf({"trainer_args.", "dataset_config.", "model_config.", "trainer_type="}));
  EXPECT_THAT(bash({"plan", "a.yaml", "dataset_config.pack"}),
              ElementsAre("dataset_config.packing=", "dataset_config.packing_strategy=",
                          "dataset_config.packing_length=", "dataset_config.packing_patches=",
                          "dataset_config.packing_kwargs."));
  EXPECT_THAT(bash({"plan", "a.yaml", "trainer_args.hub"}), IsEmpty()) << "without a meaning here";
  EXPECT_THAT(bash({"help", "packing_l"}), ElementsAre("packing_length"));
}

TEST_F(ShellCompletion, offers_the_values_of_a_key_and_of_an_option) {
  EXPECT_THAT(bash({"plan", "a.yaml", "dataset_config.packing_strategy", "="}),
              ElementsAre("first_fit", "best_fit", "balanced", "sequential"));
  EXPECT_THAT(bash({"plan", "a.yaml", "trainer_args.bf16", "=", "t"}), ElementsAre("true"));
  EXPECT_THAT(bash({"plan", "a.yaml", "dataset_config.processor_config.processor_type", "=", "qw"}),
              IsSupersetOf({"qwen2", "qwen3_vl"}));
  EXPECT_THAT(bash({"plan", "a.yaml", "dataset_config.processor_config.processor_type", "=", ""}),
              Not(Contains("wanvideo")))
      << "not built yet";
  EXPECT_THAT(bash({"plan", "a.yaml", "dataset_config.dataset_path", "=", "ch"}),
              ElementsAre("chats.jsonl"));
  EXPECT_THAT(bash({"plan", "--card", "h"}), ElementsAre("h100", "h200"));
  EXPECT_THAT(bash({"plan", "--card", "=", "a"}), ElementsAre("a100-40gb"));
  EXPECT_THAT(bash({"plan", "--steps", ""}), IsEmpty());
  EXPECT_THAT(bash({"plan", "--steps", "3", "a.yaml", "trainer_args.optim", "=", "adamw_torch_f"}),
              Contains("adamw_torch_fused"));
}

TEST_F(ShellCompletion, is_read_by_zsh) {
  if (std::system("command -v zsh >/dev/null 2>&1") != 0) GTEST_SKIP() << "no zsh here";
  const fs::path file = folder_ / "_lmms";
  std::ofstream(file) << zsh_completion(completion_);
  EXPECT_EQ(std::system(("zsh -n '" + file.string() + "'").c_str()), 0);
}

}  // namespace
}  // namespace lmms::app
