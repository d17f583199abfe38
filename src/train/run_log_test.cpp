#include "train/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <regex>

#include "core/files.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class RunLogFile : public testing::Test {
 protected:
  RunLogFile() : folder_(fs::temp_directory_path() / ("run_log_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~RunLogFile() override { fs::remove_all(folder_); }

  /// The lines of the file without their times; a test failure for one that has none.
  std::vector<std::string> lines() const {
    static const std::regex kLine(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d (.*))");
    std::vector<std::string> out;
    std::ifstream in(folder_ / "train.log");
    for (std::string line; std::getline(in, line);) {
      std::smatch parts;
      EXPECT_TRUE(std::regex_match(line, parts, kLine)) << line;
      if (parts.size() > 1) out.push_back(parts[1]);
    }
    return out;
  }
  fs::path folder_;
};

TEST_F(RunLogFile, has_what_was_told_before_and_after_it_was_opened) {
  {
    RunLog run_log;
    log::notice("early");
    run_log.open(folder_, "begins");
    log::warning("late\n");
    run_log.line("step 1");
  }
  log::info("of another run");
  EXPECT_THAT(lines(), ElementsAre("begins", "notice: early", "warning: late", "step 1"));
}

TEST_F(RunLogFile, that_is_never_opened_is_not_made) {
  {
    RunLog run_log;
    log::notice("early");
  }
  EXPECT_FALSE(fs::exists(folder_ / "train.log"));
}

TEST_F(RunLogFile, goes_on_behind_a_torn_line_and_stamps_every_line_of_a_text) {
  std::ofstream(folder_ / "train.log") << "2026-11-30T22:24:39+00:00 whole\n"
                                       << "2026-11-30T22:24:39+00:00 torn";
  {
    RunLog run_log;
    run_log.open(folder_, "goes on");
    run_log.line("error: one\n    fix: \x1b[31mtwo");
  }
  EXPECT_THAT(lines(), ElementsAre("whole", "torn", "goes on", "error: one", "    fix: ?[31mtwo"));
}

TEST_F(RunLogFile, that_cannot_be_written_is_warned_of_once_and_counts_what_is_missing) {
  const fs::path path = folder_ / "train.log";
  fs::create_directory(path);  // no file can be written there
  std::vector<std::string> heard;
  {
    RunLog run_log;
    const log::Listener listener([&](log::Level level, const std::string& text) {
      if (level == log::Level::warning) heard.push_back(text);
    });
    run_log.open(folder_, "begins");
    run_log.line("step 1");
    for (int i = 0; i < 60'000 && heard.empty(); ++i) ::usleep(1000);
    fs::remove(path);
    run_log.line("step 2");
  }
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_THAT(heard[0], HasSubstr("train.log is not written: "));
  const auto written = lines();
  ASSERT_GE(written.size(), 2u);
  EXPECT_THAT(written[0], HasSubstr("lines are missing"));
  EXPECT_EQ(written.back(), "step 2");
}

}  // namespace
}  // namespace lmms::train
