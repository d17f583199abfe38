#include "app/chat_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace lmms::app {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class ChatHistoryFile : public testing::Test {
 protected:
  ChatHistoryFile() : folder_(fs::temp_directory_path() / ("history_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~ChatHistoryFile() override { fs::remove_all(folder_); }
  fs::path folder_;
  fs::path file_ = folder_ / "state/lmms/chat_history";
};

TEST_F(ChatHistoryFile, keeps_lines_for_its_owner_alone) {
  ChatHistory history(file_);
  EXPECT_THAT(history.lines(), IsEmpty());
  for (const char* line : {"one", "two", "two", "a\\nb", "pasted\nin two \\"}) history.add(line);
  EXPECT_THAT(ChatHistory(file_).lines(), ElementsAre("one", "two", "a\\nb", "pasted\nin two \\"));
  EXPECT_EQ(fs::status(file_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(fs::status(file_.parent_path()).permissions(), fs::perms::owner_all);
}

TEST_F(ChatHistoryFile, of_two_talks_has_the_lines_of_both) {
  ChatHistory one(file_), other(file_);
  one.add("a");
  other.add("b");
  one.add("c");
  EXPECT_THAT(one.lines(), ElementsAre("a", "b", "c"));
}

TEST_F(ChatHistoryFile, is_bounded_and_becomes_private) {
  fs::create_directories(file_.parent_path());
  {
    std::ofstream out(file_);
    for (int i = 0; i < 1500; ++i) out << i << '\n';
  }
  ChatHistory history(file_);
  history.add("last");
  history.add(std::string(1 << 20, 'x'));
  const auto lines = history.lines();
  EXPECT_EQ(lines.size(), 1000u);
  EXPECT_EQ(lines.front(), "501");
  EXPECT_EQ(lines.back(), "last");
  EXPECT_EQ(fs::status(file_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(ChatHistoryFile, that_cannot_be_is_done_without) {
  ChatHistory nowhere("");
  nowhere.add("x");
  EXPECT_THAT(nowhere.lines(), IsEmpty());

  fs::create_directories(file_.parent_path());
  fs::create_symlink("/dev/null", file_);
  ChatHistory none(file_);
  none.add("x");
  EXPECT_TRUE(fs::is_symlink(file_));

  std::ofstream(folder_ / "a file") << "x";
  testing::internal::CaptureStderr();
  ChatHistory blocked(folder_ / "a file/lmms/chat_history");
  blocked.add("x");
  blocked.add("y");
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

}  // namespace
}  // namespace lmms::app
