#include "checkpoint/output_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "checkpoint/scratch_folder.h"
#include "core/error.h"
#include "core/files.h"

namespace lmms::checkpoint {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::HasSubstr;

/// A file system that has no locks, and a run whose times are short.
LockOptions without_locks(int error = ENOLCK) {
  return {.flock =
              [error](int, int) {
                errno = error;
                return -1;
              },
          .sign_of_life = milliseconds(5),
          .dead_after = milliseconds(60'000),
          .settled_after = milliseconds(2)};
}

/// The message of a refusal; empty if the folder was free.
std::string refusal(const fs::path& output, const LockOptions& options) {
  try {
    const OutputLock lock(output, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::failed);
    return error.what();
  }
  return "";
}

TEST(OutputLock, keeps_a_second_run_out_until_the_first_has_ended) {
  ScratchFolder output;
  {
    const OutputLock first(output / "new");
    EXPECT_THAT(refusal(output / "new", {}), HasSubstr("another run is writing here"));
  }
  EXPECT_EQ(refusal(output / "new", {}), "");
  EXPECT_TRUE(fs::is_empty(output / "new"));
}

TEST(LockFile, keeps_a_second_run_out_where_the_file_system_has_no_locks) {
  ScratchFolder output;
  for (const int error : {ENOLCK, EOPNOTSUPP, ENOSYS, EINVAL}) {
    {
      testing::internal::CaptureStderr();
      const OutputLock first(output.path(), without_locks(error));
      EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("has no locks"));
      const std::string said = refusal(output.path(), without_locks(error));
      EXPECT_THAT(said, HasSubstr("another run is writing here: process " +
                                  std::to_string(::getpid()) + " on "));
      EXPECT_THAT(said, HasSubstr("or remove " + (output / ".lmms-lock").string()));
    }
    EXPECT_TRUE(fs::is_empty(output.path()));
  }
}

TEST(LockFile, of_a_killed_process_of_this_machine_is_taken_over_at_once) {
  ScratchFolder output;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const OutputLock lock(output.path(), without_locks());
    for (;;) ::pause();
  }
  while (!fs::exists(output / ".lmms-lock")) std::this_thread::sleep_for(milliseconds(1));
  while (read_file(output / ".lmms-lock").take().empty())
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_THAT(refusal(output.path(), without_locks()),
              HasSubstr("process " + std::to_string(child)));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(refusal(output.path(), without_locks()), "");
  EXPECT_TRUE(fs::is_empty(output.path()));
}

/// Writes a lock file as a run of another machine does, touched so long ago.
void put_foreign(const fs::path& file, std::chrono::seconds ago) {
  OutputFile(file).write(nlohmann::json{
      {"host", "node7"},
      {"process", ::getpid()},
      {"started", "1"},
      {"place", "elsewhere"}}.dump());
  fs::last_write_time(file, fs::file_time_type::clock::now() - ago);
}

TEST(LockFile, of_another_machine_holds_while_it_is_touched) {
  ScratchFolder output;
  put_foreign(output / ".lmms-lock", std::chrono::seconds(50));
  const std::string said = refusal(output.path(), without_locks());
  EXPECT_THAT(said, HasSubstr("on node7, whose last sign of life was 50 s ago"));
  EXPECT_THAT(said, HasSubstr("if it was killed, wait 60 s or remove"));
  put_foreign(output / ".lmms-lock", std::chrono::seconds(61));
  EXPECT_EQ(refusal(output.path(), without_locks()), "");
}

TEST(LockFile, with_garbage_in_it_holds_until_it_is_old) {
  for (const char* text : {"", "{", "[]", "{\"host\": 3}", "\xff\xfe", "{\"process\": \"x\"}"}) {
    ScratchFolder output;
    OutputFile(output / ".lmms-lock").write(text);
    EXPECT_THAT(refusal(output.path(), without_locks()), HasSubstr("another run")) << text;
    fs::last_write_time(output / ".lmms-lock",
                        fs::file_time_type::clock::now() - std::chrono::minutes(2));
    EXPECT_EQ(refusal(output.path(), without_locks()), "") << text;
  }
}

TEST(LockFile, is_touched_while_its_run_lives) {
  ScratchFolder output;
  const OutputLock lock(output.path(), without_locks());
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(1);
  fs::last_write_time(output / ".lmms-lock", old);
  for (int i = 0; i < 1000 && fs::last_write_time(output / ".lmms-lock") <= old; ++i)
    std::this_thread::sleep_for(milliseconds(2));
  EXPECT_GT(fs::last_write_time(output / ".lmms-lock"), old);
}

TEST(LockFile, that_another_run_took_over_is_neither_touched_nor_removed) {
  ScratchFolder output;
  const fs::path file = output / ".lmms-lock";
  {
    const OutputLock lock(output.path(), without_locks());
    fs::rename(file, output / "aside");
    put_foreign(file, std::chrono::seconds(0));
    std::this_thread::sleep_for(milliseconds(30));
  }
  EXPECT_TRUE(fs::exists(file));
}

TEST(LockFile, lets_one_of_many_in) {
  ScratchFolder output;
  put_foreign(output / ".lmms-lock", std::chrono::minutes(10));  // all find it stale
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      std::optional<OutputLock> lock;
      try {
        LockOptions options = without_locks();
        options.settled_after = milliseconds(100);
        lock.emplace(output.path(), options);
      } catch (const Error&) {
        ::_exit(1);
      }
      std::this_thread::sleep_for(milliseconds(500));
      ::_exit(0);  // as a killed run: the file stays
    }
    children.push_back(child);
  }
  int in = 0;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    in += WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  EXPECT_EQ(in, 1);
}

}  // namespace
}  // namespace lmms::checkpoint
