// The average of the weights: its formula, its folder, going on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "checkpoint/hf_folder.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

Words with_ema(Words more = {}) {
  Words words{"trainer_args.ema_enabled=true", "trainer_args.ema_decay=0.9",
              "trainer_args.max_steps=6", "trainer_args.save_steps=1",
              "trainer_args.lr_scheduler_type=constant"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// Every tensor of a model folder in fp32, by name.
std::map<std::string, std::vector<float>> tensors(const fs::path& folder) {
  const auto index = checkpoint::HfFolder::open(folder).take().weights().take();
  std::map<std::string, std::vector<float>> out;
  for (const auto& [name, view] : index.tensors()) {
    std::vector<float>& values = out[std::string(name)];
    EXPECT_EQ(view->dtype, checkpoint::DType::f32);
    values.resize(view->bytes.size() / sizeof(float));
    std::memcpy(values.data(), view->bytes.data(), view->bytes.size());
  }
  return out;
}

TEST(Ema, is_the_formula_over_the_weights_of_the_steps) {
  const Project project;
  project.train_to_the_end(with_ema(
      {"trainer_args.ema_start_step=3", "trainer_args.ema_param_filter={exclude: [norm]}"}));
  auto expected = tensors(project / "out/checkpoint-2");
  for (int step = 1; step <= 6; ++step) {
    const fs::path checkpoint = project / ("out/checkpoint-" + std::to_string(step));
    const auto weights = tensors(checkpoint), averages = tensors(checkpoint / "ema");
    ASSERT_EQ(weights.size(), averages.size());
    for (const auto& [name, average] : averages) {
      const std::vector<float>& now = weights.at(name);
      if (step < 3 || name.find("norm") != std::string::npos) {
        EXPECT_EQ(average, now) << name << " at " << step;
        continue;
      }
      std::vector<float>& e = expected.at(name);
      float largest = 0;
      for (size_t i = 0; i < e.size(); ++i) {
        e[i] = 0.9f * e[i] + 0.1f * now[i];
        largest = std::max(largest, std::abs(average[i] - e[i]));
      }
      EXPECT_LE(largest, 1e-6f) << name << " at " << step;
      EXPECT_NE(average, now) << name << " at " << step;
    }
  }
  EXPECT_EQ(weights(project / "out/ema"), weights(project / "out/checkpoint-6/ema"));
}

TEST(Ema, folder_is_a_checkpoint_that_can_be_evaluated) {
  const Project project;
  project.train_to_the_end(with_ema());
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"})
    EXPECT_TRUE(fs::exists(project / "out/ema" / name)) << name;
  const auto eval = [&](const std::string& folder) {
    const Ended ended = run(
        {"eval", "config.yaml", folder, "--json", "dataset_config.eval_dataset_path=eval.jsonl"},
        project.here());
    EXPECT_EQ(ended.exit, 0) << ended.err;
    return nlohmann::json::parse(ended.out)["eval_loss"].get<double>();
  };
  EXPECT_NE(eval("out/ema"), eval("out"));
}

// A run of six steps, and one that goes on from an earlier one with the same command.
void expect_equal_after_going_on(const Project& project, const Words& words, int from) {
  fs::remove_all(project / "out");
  project.train_to_the_end(with_ema(words));
  const std::string at_once = weights(project / "out/ema");
  const auto state = contents(project / "out/checkpoint-6/resume");
  fs::remove(project / "out/finished.json");
  for (int step = from + 1; step <= 6; ++step)
    fs::remove_all(project / ("out/checkpoint-" + std::to_string(step)));
  const Ended second_run = project.train_to_the_end(with_ema(words));
  EXPECT_THAT(second_run.err, HasSubstr("going on from out/checkpoint-" + std::to_string(from)));
  EXPECT_TRUE(weights(project / "out/ema") == at_once) << from;
  EXPECT_TRUE(contents(project / "out/checkpoint-6/resume") == state) << from;
}
void expect_equal_after_going_on(const Words& words) {
  expect_equal_after_going_on(Project(), words, 3);
}

// The project with a third step whose chats have no answer: it trains no token.
class EmaAndAnEmptyStep : public testing::Test {
 protected:
  EmaAndAnEmptyStep() {
    std::string rows;
    for (int i = 0; i < 24; ++i)
      rows += i / 4 == 2 ? R"({"messages": [{"role": "user", "content": "hello"}]})"
                           "\n"
                         : chat_line("Count.", "1 2 3 " + std::to_string(i));
    project.write("train.jsonl", rows);
  }
  static Words words(Words more) {
    more.push_back("dataset_config.shuffle=false");
    return more;
  }
  std::string average(int step) const {
    return weights(project / ("out/checkpoint-" + std::to_string(step) + "/ema"));
  }
  std::string weights_of(int step) const {
    return weights(project / ("out/checkpoint-" + std::to_string(step)));
  }
  const Project project;
};

TEST_F(EmaAndAnEmptyStep, begins_there_from_the_weights_of_that_moment) {
  project.train_to_the_end(with_ema(words({"trainer_args.ema_start_step=3"})));
  EXPECT_TRUE(average(3) == weights_of(2));
  const auto before = tensors(project / "out/checkpoint-2"),
             after = tensors(project / "out/checkpoint-4"),
             averages = tensors(project / "out/checkpoint-4/ema");
  for (const auto& [name, average] : averages) {
    const auto &w2 = before.at(name), &w4 = after.at(name);
    for (size_t i = 0; i < average.size(); ++i)
      ASSERT_NEAR(average[i], 0.9f * w2[i] + 0.1f * w4[i], 1e-6f) << name;
  }
}

TEST_F(EmaAndAnEmptyStep, goes_on_to_the_bit_from_it_and_from_the_step_before) {
  for (const char* bf16 : {"trainer_args.bf16=false", "trainer_args.bf16=true"}) {
    for (const int from : {2, 3})
      expect_equal_after_going_on(project, words({"trainer_args.ema_start_step=3", bf16}), from);
  }
}

TEST_F(EmaAndAnEmptyStep, stays_there_and_goes_on_to_the_bit_where_it_moves_every_third_step) {
  expect_equal_after_going_on(
      project,
      words({"trainer_args.ema_update_every=3", "trainer_args.freeze_modules=[model.layers.0]",
             "trainer_args.ema_param_filter={exclude: [norm]}"}),
      3);
  project.train_to_the_end(
      with_ema(words({"trainer_args.ema_update_every=3", "trainer_args.output_dir=all"})));
  EXPECT_TRUE(weights(project / "all/checkpoint-3/ema") ==
              weights(project / "all/checkpoint-1/ema"));
  EXPECT_FALSE(weights(project / "all/checkpoint-6/ema") ==
               weights(project / "all/checkpoint-3/ema"));
}

TEST(Ema, goes_on_to_the_bit_in_fp32) {
  expect_equal_after_going_on({});
}

TEST(Ema, goes_on_to_the_bit_in_bf16) {
  expect_equal_after_going_on({"trainer_args.bf16=true"});
}

TEST(Ema, goes_on_to_the_bit_with_frozen_modules_and_before_it_has_begun) {
  expect_equal_after_going_on({"trainer_args.bf16=true", "trainer_args.ema_start_step=5",
                               "trainer_args.freeze_modules=[model.layers.0]"});
}

TEST(Ema, can_be_asked_for_and_given_up_when_a_run_goes_on) {
  for (const char* bf16 : {"false", "true"}) {
    const Project project;
    const Words base{"trainer_args.lr_scheduler_type=constant", "trainer_args.save_steps=2",
                     std::string("trainer_args.bf16=") + bf16};
    const auto train = [&](int steps, const char* enabled) {
      Words words = base;
      words.push_back("trainer_args.max_steps=" + std::to_string(steps));
      words.push_back(std::string("trainer_args.ema_enabled=") + enabled);
      return project.train_to_the_end(words).err;
    };
    train(2, "false");
    const std::string asked = train(4, "true");
    EXPECT_THAT(asked, HasSubstr("has no average"));
    EXPECT_TRUE(fs::exists(project / "out/ema/model.safetensors"));
    train(6, "false");
    EXPECT_FALSE(fs::exists(project / "out/checkpoint-6/ema"));
    EXPECT_FALSE(fs::exists(project / "out/ema"));  // of the fourth step: it is no more the model's
    EXPECT_TRUE(fs::exists(project / "out/ema.old"));
  }
}

TEST(Ema, can_become_the_weights_of_a_run_that_goes_on) {
  const Project project;
  project.train_to_the_end(with_ema());
  const Words more = with_ema({"trainer_args.max_steps=7", "trainer_args.learning_rate=0",
                               "trainer_args.ema_resume_from_ema=true"});
  EXPECT_THAT(project.train_to_the_end(more).err, HasSubstr("ema_resume_from_ema"));
  // a step without a learning rate leaves the weights as they began
  EXPECT_TRUE(weights(project / "out/checkpoint-7") == weights(project / "out/checkpoint-6/ema"));
}

TEST(Ema, that_would_follow_nothing_is_refused) {
  const Project project;
  const Ended ended =
      project.train(with_ema({"trainer_args.ema_param_filter={include: [visual]}"}));
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("ema_param_filter"));
}

TEST(Ema, that_is_off_leaves_no_folder_and_says_what_is_not_read) {
  const Project project;
  const Ended ended =
      project.train_to_the_end({"trainer_args.max_steps=1", "trainer_args.ema_decay=0.5"});
  EXPECT_FALSE(fs::exists(project / "out/ema"));
  EXPECT_THAT(ended.err, HasSubstr("ema_enabled"));
  EXPECT_THAT(project.train_to_the_end({"trainer_args.max_steps=2"}).err,
              Not(HasSubstr("ema_enabled")));
}

}  // namespace
}  // namespace lmms::e2e
