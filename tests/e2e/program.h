#pragma once
/// Starts the built program, waits for it or interrupts it, and keeps what it printed.
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lmms::e2e {

/// How a process ended, and what it printed.
struct Ended {
  int exit = -1;   ///< exit code; -1 if a signal ended it
  int signal = 0;  ///< that ended it
  std::string out, err;
};

/// What differs from the environment of the test.
struct Surroundings {
  std::filesystem::path folder;          ///< that the program starts in
  int math_threads = 1;                  ///< OMP_NUM_THREADS
  std::optional<uint64_t> largest_file;  ///< bytes; the system refuses to write more into one file
  std::filesystem::path input = "/dev/null";  ///< file that the standard input reads
  std::filesystem::path hub_cache = "/nonexistent";
  std::map<std::string, std::string>
      variables;  ///< set besides; those of launchers and COLUMNS are not passed on
  std::filesystem::path program = LMMS_PROGRAM;
};

/// In a child process: goes on as the program in these surroundings, with the streams that it has.
[[noreturn]] void become_the_program(const std::vector<std::string>& words,
                                     const Surroundings& surroundings);

/// The program under test, running. Killed and reaped on destruction.
class Running {
 public:
  Running(const std::vector<std::string>& words, const Surroundings& surroundings);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void send(int signal);
  /// Calls `condition` every half millisecond until it is true (returns true), or the program has
  /// ended (false).
  bool until(const std::function<bool()>& condition);
  /// False if it ended before.
  bool runs_for(std::chrono::microseconds time);
  /// A program that runs for two minutes is killed: a test must not hang.
  Ended wait();

 private:
  bool ended();
  std::filesystem::path out_, err_;
  pid_t process_ = -1;
  bool reaped_ = false;
  int status_ = 0;
};

/// From start to end.
Ended run(const std::vector<std::string>& words, const Surroundings& surroundings = {});

}  // namespace lmms::e2e
