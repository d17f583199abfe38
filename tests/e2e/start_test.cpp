// The launcher: which library it opens, what it says where it cannot, and what it sets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// The launcher in a folder of its own, with the CPU's library, and a file that is no library in
/// the place of CUDA's.
class Start : public testing::Test {
 protected:
  Start() {
    const fs::path built = fs::path(LMMS_PROGRAM).parent_path();
    fs::create_directories(project / "bin/cuda");
    project.write("bin/cuda/liblmms.so", "no library");
    fs::copy_file(LMMS_PROGRAM, project / "bin/lmms");
    fs::create_symlink(built / "liblmms.so", project / "bin/liblmms.so");
  }
  Ended start(const Words& words, std::map<std::string, std::string> variables) const {
    Surroundings here = project.here();
    here.program = project / "bin/lmms";
    here.variables.merge(variables);
    return run(words, here);
  }
  const Project project;
};

TEST_F(Start, refuses_a_device_that_does_not_exist) {
  const Ended ended = start({"list"}, {{"LMMS_DEVICE", "gpu"}});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("LMMS_DEVICE='gpu': wanted cpu or cuda\n    fix: "));
}

TEST_F(Start, says_why_the_cuda_library_that_was_asked_for_cannot_be_loaded) {
  const Ended ended = start({"doctor"}, {{"LMMS_DEVICE", "cuda"}});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_EQ(ended.out, "");
  EXPECT_THAT(ended.err,
              HasSubstr("cannot be loaded: " + (project / "bin/cuda/liblmms.so").string()));
  EXPECT_THAT(ended.err, HasSubstr("\n    fix: "));
  EXPECT_EQ(start({"list"}, {{"LMMS_DEVICE", "cuda"}}).exit, 0) << "computes on no device";

  fs::remove(project / "bin/cuda/liblmms.so");
  const Ended without = start({"doctor"}, {{"LMMS_DEVICE", "cuda"}});
  EXPECT_EQ(without.exit, 2);
  EXPECT_THAT(without.err, HasSubstr("built without CUDA"));
}

TEST_F(Start, says_where_it_looked_for_its_library) {
  fs::remove(project / "bin/liblmms.so");
  fs::remove(project / "bin/cuda/liblmms.so");
  const Ended ended = start({"list"}, {});
  EXPECT_EQ(ended.exit, 1);
  EXPECT_THAT(ended.err, HasSubstr("liblmms.so is neither in " + (project / "bin").string()));
}

// As the launcher leaves it to the CPU's library where CUDA's was wanted: LMMS_CUDA_TROUBLE.
TEST_F(Start, never_takes_the_cpu_because_cuda_is_broken) {
  fs::remove(project / "bin/cuda/liblmms.so");
  const std::string missing = "libcudnn.so.9: cannot open shared object file: No such file";
  const Ended refused =
      start(Project::command({"trainer_args.max_steps=1", "trainer_args.use_cpu=false"}),
            {{"LMMS_DEVICE", ""}, {"LMMS_CUDA_TROUBLE", missing}});
  EXPECT_EQ(refused.exit, 2);
  EXPECT_THAT(refused.err, HasSubstr("no GPU for this run: CUDA's part of the program cannot be "
                                     "loaded (" +
                                     missing + ")"));
  EXPECT_THAT(refused.err, HasSubstr("use_cpu"));
  EXPECT_FALSE(fs::exists(project / "out/metrics.jsonl"));

  for (const Words& words : {Words{"init", pretrained().string(), "train.jsonl", "-o", "new.yaml"},
                             Words{"plan", "config.yaml", "trainer_args.use_cpu=false"}}) {
    const Ended other = start(words, {{"LMMS_DEVICE", ""}, {"LMMS_CUDA_TROUBLE", missing}});
    EXPECT_EQ(other.exit, 2) << words[0];
    EXPECT_THAT(other.err, HasSubstr(missing));
    EXPECT_THAT(other.err, HasSubstr("--card cpu"));
  }
  EXPECT_FALSE(fs::exists(project / "new.yaml"));

  const Ended doctor =
      start({"doctor", "--no-disk-speed"}, {{"LMMS_DEVICE", ""}, {"LMMS_CUDA_TROUBLE", missing}});
  EXPECT_EQ(doctor.exit, 1);
  EXPECT_THAT(doctor.out, HasSubstr(missing));

  const Ended asked =
      start(Project::command({"trainer_args.max_steps=1", "trainer_args.use_cpu=true"}),
            {{"LMMS_DEVICE", ""}, {"LMMS_CUDA_TROUBLE", missing}});
  EXPECT_EQ(asked.exit, 0) << asked.err;
}

TEST_F(Start, lets_waiting_threads_sleep_unless_the_user_says_otherwise) {
  const std::map<std::string, std::string> shown{{"OMP_DISPLAY_ENV", "true"},
                                                 {"OMP_WAIT_POLICY", ""}};
  EXPECT_THAT(start({"--version"}, shown).err, HasSubstr("OMP_WAIT_POLICY = 'PASSIVE'"));
  auto active = shown;
  active["OMP_WAIT_POLICY"] = "active";
  EXPECT_THAT(start({"--version"}, active).err, HasSubstr("OMP_WAIT_POLICY = 'ACTIVE'"));
}

}  // namespace
}  // namespace lmms::e2e
