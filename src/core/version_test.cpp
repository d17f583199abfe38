#include "core/version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/files.h"

namespace lmms {
namespace {

TEST(Version, is_that_of_the_build_files) {
  const std::string build =
      read_file(std::filesystem::path(LMMS_SOURCE_DIR) / "CMakeLists.txt").take();
  EXPECT_THAT(build, testing::HasSubstr(std::string("project(lmms VERSION ") + kVersion + " "));
}

}  // namespace
}  // namespace lmms
