// Training on images of the example's data: what holds of texts holds of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

namespace fs = std::filesystem;

/// `lmms train` of the quickstart, made small, into PROJECT/NAME.
Ended train(const Project& project, const std::string& name, const Words& more) {
  Words words{"train",
              "examples/scalable_interpolant_transformer/quickstart.yaml",
              "trainer_args.output_dir=" + (project / name).string(),
              "model_config.load_from_config.config.hidden_size=32",
              "model_config.load_from_config.config.depth=2",
              "trainer_args.per_device_train_batch_size=8",
              "trainer_args.logging_steps=1",
              "trainer_args.eval_strategy=no",
              "trainer_args.eval_sample=null",
              "trainer_args.eval_on_start=false"};
  words.insert(words.end(), more.begin(), more.end());
  Surroundings here;
  here.folder = LMMS_SOURCE_DIR;
  Ended ended = run(words, here);
  EXPECT_EQ(ended.exit, 0) << ended.err;
  return ended;
}

TEST(Images, training_goes_on_to_the_bit_with_any_number_of_loader_threads) {
  const Project project;
  train(project, "whole", {"trainer_args.max_steps=8", "trainer_args.dataloader_num_workers=1"});
  const Words in_parts{"trainer_args.save_steps=5", "trainer_args.save_total_limit=3",
                       "trainer_args.dataloader_num_workers=3"};
  Words first = in_parts, second = in_parts;
  first.push_back("trainer_args.max_steps=8");
  train(project, "parts", first);
  second.insert(second.end(),
                {"trainer_args.max_steps=8", "trainer_args.resume_from_checkpoint=" +
                                                 (project / "parts/checkpoint-5").string()});
  const Ended again = train(project, "parts", second);
  EXPECT_THAT(again.err, testing::HasSubstr("going on from"));
  EXPECT_EQ(steady_metrics(project / "parts"), steady_metrics(project / "whole"));
  EXPECT_EQ(weights(project / "parts"), weights(project / "whole"));
  EXPECT_EQ(weights(project / "parts/ema"), weights(project / "whole/ema"));
}

}  // namespace
}  // namespace lmms::e2e
