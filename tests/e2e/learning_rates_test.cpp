// Modules with a learning rate of their own: what moves, what is told, going on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "checkpoint/hf_folder.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

std::map<std::string, std::string> tensors(const fs::path& folder) {
  const auto index = checkpoint::HfFolder::open(folder).take().weights().take();
  std::map<std::string, std::string> out;
  for (const auto& [name, view] : index.tensors()) {
    std::string& bytes = out[std::string(name)];
    bytes.resize(view->bytes.size());
    std::memcpy(bytes.data(), view->bytes.data(), bytes.size());
  }
  return out;
}

const char* const kRates =
    "trainer_args.learning_rates=[{modules: '*.k_proj', learning_rate: 0}, "
    "{modules: model.layers.1, learning_rate: 0.001, weight_decay: 0.1}]";

TEST(LearningRates, move_each_module_by_its_own_and_are_told) {
  const Project project;
  const Ended run =
      project.train_to_the_end({kRates, "trainer_args.max_steps=4", "trainer_args.save_steps=1",
                                "trainer_args.lr_scheduler_type=linear"});
  EXPECT_THAT(run.err, HasSubstr("*.k_proj: 0, weight decay 0 ("));
  EXPECT_THAT(run.err, HasSubstr("model.layers.1: 0.001, weight decay 0.1 ("));
  const auto rows = metrics(project / "out");
  EXPECT_THAT(column(rows, "learning_rate"), ElementsAre(0.01, 0.0075, 0.005, 0.0025));
  EXPECT_THAT(column(rows, "learning_rate/*.k_proj"), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(column(rows, "learning_rate/model.layers.1"),
              ElementsAre(0.001, 0.00075, 0.0005, 0.00025));
  const auto first = tensors(project / "out/checkpoint-1"), last = tensors(project / "out");
  for (const auto& [name, bytes] : last)
    EXPECT_EQ(bytes == first.at(name), name.find(".k_proj.") != std::string::npos) << name;
}

TEST(LearningRates, go_on_to_the_bit) {
  const Project whole, parts;
  const Words words{kRates, "trainer_args.max_steps=6", "trainer_args.save_steps=3"};
  whole.train_to_the_end(words);
  parts.train_to_the_end(words);
  parts.train_to_the_end({kRates, "trainer_args.max_steps=6", "trainer_args.save_steps=3",
                          "trainer_args.resume_from_checkpoint=out/checkpoint-3"});
  EXPECT_EQ(weights(parts / "out"), weights(whole / "out"));
  EXPECT_EQ(steady_metrics(parts / "out"), steady_metrics(whole / "out"));
}

TEST(LearningRates, that_changed_are_named_before_a_run_goes_on) {
  const Project project;
  project.train_to_the_end({kRates, "trainer_args.max_steps=3"});
  const Ended more = project.train_to_the_end({"trainer_args.max_steps=5"});
  EXPECT_THAT(more.err, HasSubstr("changed since the checkpoint: trainer_args.learning_rates: "));
}

TEST(LearningRates, of_a_module_that_is_not_there_end_the_run_before_it_begins) {
  const Project project;
  const Ended run = project.train(
      {"trainer_args.learning_rates=[{modules: model.layer.1, learning_rate: 1e-3}]"});
  EXPECT_EQ(run.exit, 2);
  EXPECT_THAT(run.err, HasSubstr("trainer_args.learning_rates[0].modules: the model has no module "
                                 "'model.layer.1'; did you mean 'model.layers.1'?"));
  EXPECT_FALSE(fs::exists(project / "out/checkpoint-1"));
}

}  // namespace
}  // namespace lmms::e2e
