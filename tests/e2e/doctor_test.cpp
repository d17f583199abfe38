// lmms doctor: on this machine, whatever it is, and with configs that are well and ill.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

Ended doctor(const Project& project, Words words) {
  words.insert(words.begin(), {"doctor", "--no-disk-speed"});
  return run(words, project.here());
}

/// The findings by "section, name".
std::map<std::string, nlohmann::json> findings(const Ended& ended) {
  std::map<std::string, nlohmann::json> out;
  const auto all = nlohmann::json::parse(ended.out);
  for (const auto& f : all.at("findings"))
    out[f.at("section").get<std::string>() + ", " + f.at("name").get<std::string>()] = f;
  return out;
}

TEST(Doctor, examines_a_machine_without_a_config) {
  const Project project;
  const Ended ended = doctor(project, {});
  EXPECT_EQ(ended.exit, 0) << ended.out;
  for (const char* text : {"program", "libtorch", "CPU", "memory", "/dev/shm", "GPU", "NCCL",
                           "attention", "this folder", "nothing is broken: 0 troubles, "}) {
    EXPECT_THAT(ended.out, HasSubstr(text));
  }
  EXPECT_THAT(ended.out, Not(HasSubstr("\x1b"))) << "colours in a file";
  EXPECT_EQ(ended.err, "");
}

TEST(Doctor, examines_a_config_and_leaves_nothing_behind) {
  const Project project;
  const auto before = contents(project / "");
  const Ended ended = run({"doctor", "config.yaml"}, project.here());
  EXPECT_EQ(ended.exit, 0) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr(" MB/s"));
  EXPECT_THAT(ended.out, HasSubstr("qwen3 from its config, random weights"));
  EXPECT_THAT(ended.out, HasSubstr("trained, 0 frozen"));
  EXPECT_THAT(ended.out, HasSubstr((project / "out").string()));
  EXPECT_EQ(contents(project / ""), before);
}

TEST(Doctor, prints_json_for_a_bug_report) {
  const Project project;
  const Ended ended = doctor(project, {"config.yaml", "--json"});
  EXPECT_EQ(ended.exit, 0);
  const auto all = findings(ended);
  EXPECT_EQ(all.at("run, model").at("mark"), "ok");
  EXPECT_EQ(all.count("disk, output folder"), 1U);
  EXPECT_EQ(nlohmann::json::parse(ended.out).at("config_faults"), "");
}

TEST(Doctor, shows_the_faults_of_a_config_as_training_would) {
  const Project project;
  for (const Words& words :
       {Words{"config.yaml", "trainer_args.lerning_rate=1", "a=2"},
        Words{"config.yaml", "dataset_config.dataset_path=gone.jsonl"},
        Words{"config.yaml", "trainer_args.freeze_modules=[nothing]"},
        Words{"config.yaml", "dataset_config.processor_config.processor_name=."},
        Words{"gone.yaml"}}) {
    Words train = words;
    train.insert(train.begin(), "train");
    const Ended trained = run(train, project.here());
    EXPECT_EQ(trained.exit, 2);
    ASSERT_FALSE(trained.err.empty());
    const Ended examined = doctor(project, words);
    EXPECT_EQ(examined.exit, 2);
    std::istringstream lines(trained.err);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("notice: ")) continue;
      EXPECT_THAT(examined.out, HasSubstr(line + "\n"));
    }
    EXPECT_THAT(examined.out, HasSubstr("libtorch")) << "the machine is examined all the same";
  }
  const auto all = nlohmann::json::parse(doctor(project, {"gone.yaml", "--json"}).out);
  EXPECT_EQ(all.at("exit"), 2);
  EXPECT_NE(all.at("config_faults"), "");
}

TEST(Doctor, stops_at_an_output_folder_that_is_none) {
  const Project project;
  project.write("file", "text");
  const Ended ended = doctor(project, {"config.yaml", "trainer_args.output_dir=file/out"});
  EXPECT_EQ(ended.exit, 2);  // a fault of the config, as lmms train says it
  EXPECT_THAT(ended.out, HasSubstr("trainer_args.output_dir"));
  EXPECT_THAT(ended.out, HasSubstr("is a file; expected a folder"));
}

TEST(Doctor, reads_the_first_record_of_the_data) {
  const Project project;
  project.write("train.jsonl", "{\"text\": 1}\n");
  const Ended ended = doctor(project, {"config.yaml"});
  EXPECT_EQ(ended.exit, 1);
  EXPECT_THAT(ended.out, HasSubstr("the run would end at a record: train.jsonl:1"));
  EXPECT_EQ(doctor(project, {"config.yaml", "dataset_config.on_bad_sample=skip"}).exit, 0);
}

TEST(Doctor, takes_a_limit_of_the_process_for_no_fault_of_the_disk) {
  const Project project;
  Surroundings here = project.here();
  here.largest_file = 1 << 20;
  const Ended ended = run({"doctor", "config.yaml"}, here);
  EXPECT_EQ(ended.exit, 0) << ended.out;
  EXPECT_THAT(ended.out, HasSubstr("write not measured"));
}

TEST(Doctor, predicts_the_size_of_a_checkpoint) {
  const Project project;
  for (const Words& words :
       {Words{}, Words{"trainer_args.bf16=true", "trainer_args.ema_enabled=true"},
        Words{"trainer_args.bf16=true", "trainer_args.master_weights=false"},
        Words{"trainer_args.bf16=true", "trainer_args.save_dtype=float16",
              "trainer_args.freeze_modules=[model.embed_tokens]"}}) {
    Words train = words;
    for (const char* word : {"trainer_args.max_steps=1", "trainer_args.save_steps=1",
                             "trainer_args.resume_from_checkpoint=false"})
      train.emplace_back(word);
    project.train_to_the_end(train);
    double bytes = 0;
    for (const auto& [name, text] : contents(project / "out" / "checkpoint-1")) {
      if (name.ends_with(".safetensors")) bytes += static_cast<double>(text.size());
    }
    Words words_of_doctor{"config.yaml", "--json"};
    words_of_doctor.insert(words_of_doctor.end(), words.begin(), words.end());
    const std::string text =
        findings(doctor(project, words_of_doctor)).at("run, checkpoints").at("text");
    const double predicted = std::stod(text) * (1 << 20);
    EXPECT_THAT(text, HasSubstr(" MiB each"));
    EXPECT_NEAR(predicted, bytes, 0.03 * bytes + 0.05 * (1 << 20)) << text;
  }
}

TEST(Doctor, helps) {
  const Ended ended = run({"doctor", "--help"});
  EXPECT_EQ(ended.exit, 0);
  EXPECT_THAT(ended.out, HasSubstr("--json"));
  EXPECT_EQ(run({"doctor", "--jsn"}).exit, 2);
}

}  // namespace
}  // namespace lmms::e2e
