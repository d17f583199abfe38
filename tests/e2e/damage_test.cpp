// Checkpoints whose bytes are no longer those that were saved: found before anything is loaded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;

void rewrite(const fs::path& file, const std::function<void(std::string&)>& change) {
  std::string text = read_file(file).take();
  change(text);
  OutputFile(file).write(text);
}

using Damage = std::function<void(const fs::path&)>;

/// `share` of the way into the file.
Damage flip(double share) {
  return [share](const fs::path& file) {
    rewrite(file, [&](std::string& text) {
      text.at(static_cast<size_t>(share * static_cast<double>(text.size()))) ^= 1;
    });
  };
}
void cut(const fs::path& file) {
  fs::resize_file(file, fs::file_size(file) - 1);
}
void halve(const fs::path& file) {
  fs::resize_file(file, fs::file_size(file) / 2);
}
void remove(const fs::path& file) {
  fs::remove(file);
}
/// Another number, the JSON as whole as before.
void change_a_digit(const fs::path& file) {
  rewrite(file, [](std::string& text) {
    const std::string key = "\"applied_updates\": ";
    char& digit = text.at(text.find(key) + key.size());
    digit = digit == '3' ? '4' : '3';
  });
}

struct Damaged {
  const char* file;
  Damage damage;
  const char* reason;
};

/// bf16 with averages: a checkpoint has every file that there can be.
const Words kWords{"trainer_args.max_steps=4", "trainer_args.save_steps=2",
                   "trainer_args.bf16=true", "trainer_args.ema_enabled=true",
                   "trainer_args.ema_decay=0.5"};

/// Makes the run whole once, then as it was before its end for every damage.
class DamagedCheckpoint : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    project = new Project;
    project->train_to_the_end(kWords);
    fs::rename(*project / "out", *project / "whole");
  }
  static void TearDownTestSuite() {
    delete project;
    project = nullptr;
  }
  void SetUp() override {
    fs::remove_all(*project / "out");
    fs::create_directory(*project / "out");
    for (const char* name :
         {"checkpoint-2", "checkpoint-4", "metrics.jsonl", "config.resolved.yaml"})
      fs::copy(*project / "whole" / name, *project / "out" / name, fs::copy_options::recursive);
  }
  fs::path newest(const std::string& file = "") const {
    return *project / "out/checkpoint-4" / file;
  }
  static Project* project;  // NOLINT: gtest's own way
};
Project* DamagedCheckpoint::project = nullptr;

TEST_F(DamagedCheckpoint, is_passed_over_for_the_one_before_it) {
  const std::vector<Damaged> all{
      {"model.safetensors", flip(0.9), "is damaged"},
      {"ema/model.safetensors", flip(0.5), "is damaged"},
      {"resume/masters.safetensors", flip(0.7), "is damaged"},
      {"resume/ema.safetensors", flip(0.999), "is damaged"},
      {"resume/first_moment.safetensors", flip(0.5), "is damaged"},
      {"resume/second_moment.safetensors", cut, "bytes, was saved with"},
      {"resume/state.json", change_a_digit, "is damaged"},
      {"resume/manifest.json", flip(0.5), ""},
      {"resume/manifest.json", remove, "holds no resume/manifest.json"},
      {"config.json", halve, "is no valid JSON"},
  };
  for (const Damaged& damaged : all) {
    SCOPED_TRACE(damaged.file);
    SetUp();
    damaged.damage(newest(damaged.file));
    const Ended second_run = project->train_to_the_end(kWords);
    EXPECT_THAT(second_run.err,
                AllOf(HasSubstr("not gone on from out/checkpoint-4"), HasSubstr(damaged.reason),
                      HasSubstr("going on from out/checkpoint-2")));
    EXPECT_THAT(second_run.err, HasSubstr(damaged.file));
    EXPECT_EQ(weights(*project / "out"), weights(*project / "whole"));
    EXPECT_EQ(weights(*project / "out/ema"), weights(*project / "whole/ema"));
    EXPECT_EQ(steady_metrics(*project / "out"), steady_metrics(*project / "whole"));
  }
}

TEST_F(DamagedCheckpoint, that_a_path_names_is_an_error_and_nothing_moves) {
  flip(0.6)(newest("resume/masters.safetensors"));
  const auto before = contents(*project / "out");
  Words words = kWords;
  words.push_back("trainer_args.resume_from_checkpoint=out/checkpoint-4");
  const Ended refused = project->train(words);
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("trainer_args.resume_from_checkpoint"),
                                 HasSubstr("resume/masters.safetensors: is damaged")));
  EXPECT_EQ(contents(*project / "out"), before);
}

TEST_F(DamagedCheckpoint, with_none_left_is_an_error_not_a_fresh_start) {
  flip(0.6)(newest("resume/masters.safetensors"));
  flip(0.6)(*project / "out/checkpoint-2/model.safetensors");
  const auto before = contents(*project / "out");
  for (int start = 0; start < 2; ++start) {  // a queue that starts it again changes nothing
    const Ended refused = project->train(kWords);
    EXPECT_EQ(refused.exit, 2);
    EXPECT_THAT(refused.err, AllOf(HasSubstr("checkpoint-4/resume/masters.safetensors: is damaged"),
                                   HasSubstr("checkpoint-2/model.safetensors: is damaged"),
                                   HasSubstr("resume_from_checkpoint=false")));
    EXPECT_EQ(contents(*project / "out"), before);
  }
  Words words = kWords;
  words.push_back("trainer_args.resume_from_checkpoint=false");
  project->train_to_the_end(words);
  EXPECT_EQ(weights(*project / "out"), weights(*project / "whole"));
  EXPECT_TRUE(fs::exists(*project / "out/checkpoint-4.old/resume/masters.safetensors"));
}

TEST_F(DamagedCheckpoint, is_one_that_lost_a_file_too) {
  fs::remove(newest("model.safetensors"));
  fs::remove_all(*project / "out/checkpoint-2");
  EXPECT_EQ(project->train(kWords).exit, 2);
  // one without resume/ is a model that somebody put there
  fs::remove_all(newest("resume"));
  const Ended anew = project->train_to_the_end(kWords);
  EXPECT_THAT(anew.err, HasSubstr("not gone on from out/checkpoint-4"));
}

TEST_F(DamagedCheckpoint, is_none_whose_config_or_tokenizer_was_edited) {
  OutputFile(newest("config.json")).write(R"({"model_type": "qwen3", "mine": 1})");
  fs::remove(newest("tokenizer.json"));
  const Ended second_run = project->train_to_the_end(kWords);
  EXPECT_THAT(second_run.err, AllOf(HasSubstr("going on from out/checkpoint-4"),
                                    HasSubstr("config.json, tokenizer.json: no longer as saved")));
}

TEST_F(DamagedCheckpoint, cannot_be_told_where_an_earlier_version_wrote_no_checksums) {
  without_checksums(newest());
  const Ended second_run = project->train_to_the_end(kWords);
  EXPECT_THAT(second_run.err, AllOf(HasSubstr("out/checkpoint-4 was written by an earlier version"),
                                    HasSubstr("going on from out/checkpoint-4")));
  // but a state that is none is not gone on from there either
  SetUp();
  without_checksums(newest());
  rewrite(newest("resume/state.json"), [](std::string& text) { text[text.find('{')] = '['; });
  const Ended before = project->train_to_the_end(kWords);
  EXPECT_THAT(before.err, AllOf(HasSubstr("not gone on from out/checkpoint-4/resume/state.json"),
                                HasSubstr("going on from out/checkpoint-2")));
  EXPECT_THAT(before.err, Not(HasSubstr("earlier version")));
}

}  // namespace
}  // namespace lmms::e2e
