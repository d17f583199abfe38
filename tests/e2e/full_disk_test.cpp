// A full disk: an error that names the file, the last checkpoint whole, and a way on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Words kWords{"trainer_args.max_steps=8", "trainer_args.save_steps=2"};

TEST(FullDisk, ends_the_run_and_leaves_the_last_checkpoint_whole) {
  const Project project;
  std::filesystem::create_directory(project / "out");
  // a checkpoint is 2.1 MB: two fit, a third doesn't
  if (::mount("tmpfs", (project / "out").c_str(), "tmpfs", 0, "size=5m") != 0)
    GTEST_SKIP() << "a small tmpfs cannot be mounted here: " << std::strerror(errno);
  const Ended full = project.train(kWords);
  EXPECT_EQ(full.exit, 1) << full.err;
  EXPECT_THAT(full.err, HasSubstr("out/.tmp-checkpoint-6"));
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre("checkpoint-2", "checkpoint-4"));

  // with room again (the older checkpoint deleted, and only one kept) the same run reaches its end
  std::filesystem::remove_all(project / "out/checkpoint-2");
  const Ended second_run =
      project.train_to_the_end({"trainer_args.max_steps=8", "trainer_args.save_steps=100"});
  EXPECT_THAT(second_run.err, HasSubstr("going on from out/checkpoint-4"));
  const Project whole;
  whole.train_to_the_end(kWords);
  EXPECT_EQ(steady_metrics(project / "out"), steady_metrics(whole / "out"));
  EXPECT_EQ(weights(project / "out"), weights(whole / "out"));
  EXPECT_EQ(::umount((project / "out").c_str()), 0);
}

TEST(FullDisk, so_does_a_limit_of_file_sizes) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=2"});
  Surroundings limited = project.here();
  limited.largest_file = 500'000;  // less than the weights
  const Ended full = run(Project::command(kWords), limited);
  EXPECT_EQ(full.exit, 1) << full.err << full.signal;
  EXPECT_THAT(full.err, HasSubstr("out/.tmp-checkpoint-4"));
  EXPECT_THAT(full.err, HasSubstr("model.safetensors"));
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre("checkpoint-2"));
  project.train_to_the_end(kWords);
}

TEST(FullDisk, at_the_start_is_an_error_too) {
  const Project project;
  Surroundings limited = project.here();
  limited.largest_file = 2'000;  // more than stderr here, less than the config
  const Ended ended = run(Project::command({}), limited);
  EXPECT_EQ(ended.exit, 1) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("File too large"));
}

TEST(FullDisk, a_file_in_the_place_of_the_folder_is_a_fault_of_the_config) {
  const Project project;
  project.write("out", "a file where the folder should be");
  const Ended ended = project.train();
  EXPECT_EQ(ended.exit, 2) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("'out' is a file; expected a folder"));
}

TEST(FullDisk, of_a_result_that_is_written_to_a_file_is_told) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "this system has no /dev/full";
  for (const char* command : {"list", "--help"}) {
    const int status = std::system(
        (std::string(LMMS_PROGRAM) + " " + command + " > /dev/full 2> /dev/null").c_str());
    EXPECT_EQ(WEXITSTATUS(status), 1) << command;
  }
}

}  // namespace
}  // namespace lmms::e2e
