#include "inspect/machine/disk_speed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace lmms::inspect {
namespace {

namespace fs = std::filesystem;

class DiskSpeed : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "lmms-disk-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  static DiskEffort little() { return {8 << 20, std::chrono::milliseconds(200)}; }
  fs::path folder_;
};

TEST_F(DiskSpeed, is_measured_and_leaves_no_file) {
  const DiskFacts facts = measure_disk(folder_, little());
  EXPECT_EQ(facts.trouble, "");
  EXPECT_EQ(facts.measured, folder_);
  EXPECT_GT(facts.write_speed, 0);
  EXPECT_GT(facts.free_bytes, 0);
  EXPECT_GE(facts.total_bytes, facts.free_bytes);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(DiskSpeed, is_that_of_the_nearest_folder_that_exists) {
  const DiskFacts facts = measure_disk(folder_ / "out" / "run-1", little());
  EXPECT_EQ(facts.trouble, "");
  EXPECT_EQ(facts.asked, folder_ / "out" / "run-1");
  EXPECT_EQ(facts.measured, folder_);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(DiskSpeed, says_that_a_file_is_no_folder) {
  std::ofstream(folder_ / "out") << "text";
  EXPECT_EQ(measure_disk(folder_ / "out", little()).trouble, "is no folder");
}

TEST_F(DiskSpeed, says_why_nothing_can_be_written) {
  const DiskFacts facts = measure_disk("/proc", little());
  EXPECT_THAT(facts.trouble, testing::StartsWith("no file can be created: "));
  EXPECT_EQ(facts.write_speed, 0);
}

}  // namespace
}  // namespace lmms::inspect
