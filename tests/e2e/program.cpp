#include "tests/e2e/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "core/files.h"

namespace lmms::e2e {
namespace {

using namespace std::chrono_literals;
constexpr auto kLongest = 120s;
constexpr auto kLook = 500us;

std::filesystem::path empty_file() {
  std::string name = (std::filesystem::temp_directory_path() / "lmms-e2e-XXXXXX").string();
  const int descriptor = ::mkstemp(name.data());
  if (descriptor < 0) throw std::runtime_error("mkstemp failed: " + name);
  ::close(descriptor);
  return name;
}

void point(int descriptor, const std::filesystem::path& file, int flags) {
  const int opened = ::open(file.c_str(), flags, 0600);
  if (opened < 0 || ::dup2(opened, descriptor) < 0) ::_exit(126);
}

}  // namespace

void become_the_program(const std::vector<std::string>& words, const Surroundings& surroundings) {
  std::vector<std::string> line{surroundings.program};
  line.insert(line.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (std::string& word : line) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ::setenv("OMP_NUM_THREADS", std::to_string(surroundings.math_threads).c_str(), 1);
  ::setenv("HF_HUB_CACHE", surroundings.hub_cache.c_str(), 1);
  ::setenv("LMMS_DEVICE", "cpu", 1);  // the promises are those of a CPU, also where there is a GPU
  for (const char* name :
       {"WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE",
        "MV2_COMM_WORLD_SIZE", "HOROVOD_SIZE", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "COLUMNS"})
    ::unsetenv(name);
  for (const auto& [name, value] : surroundings.variables) ::setenv(name.c_str(), value.c_str(), 1);
  if (surroundings.largest_file) {
    const rlimit limit{*surroundings.largest_file, *surroundings.largest_file};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  if (!surroundings.folder.empty() && ::chdir(surroundings.folder.c_str()) != 0) ::_exit(126);
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

Running::Running(const std::vector<std::string>& words, const Surroundings& surroundings)
    : out_(empty_file()), err_(empty_file()) {
  process_ = ::fork();
  if (process_ < 0) throw std::runtime_error("fork failed");
  if (process_ == 0) {
    point(STDIN_FILENO, surroundings.input, O_RDONLY);
    point(STDOUT_FILENO, out_, O_WRONLY);
    point(STDERR_FILENO, err_, O_WRONLY);
    become_the_program(words, surroundings);
  }
}

Running::~Running() {
  if (!reaped_) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, &status_, 0);
  }
  std::error_code ignored;
  std::filesystem::remove(out_, ignored);
  std::filesystem::remove(err_, ignored);
}

void Running::send(int signal) {
  if (!ended()) ::kill(process_, signal);
}

bool Running::ended() {
  if (!reaped_) reaped_ = ::waitpid(process_, &status_, WNOHANG) == process_;
  return reaped_;
}

bool Running::until(const std::function<bool()>& condition) {
  const auto last = std::chrono::steady_clock::now() + kLongest;
  for (;;) {
    if (condition()) return true;
    if (ended() || std::chrono::steady_clock::now() > last) return false;
    std::this_thread::sleep_for(kLook);
  }
}

bool Running::runs_for(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  return until([&] { return std::chrono::steady_clock::now() >= end; });
}

Ended Running::wait() {
  const auto last = std::chrono::steady_clock::now() + kLongest;
  while (!ended()) {
    if (std::chrono::steady_clock::now() > last) ::kill(process_, SIGKILL);
    std::this_thread::sleep_for(kLook);
  }
  Ended result;
  if (WIFEXITED(status_)) result.exit = WEXITSTATUS(status_);
  if (WIFSIGNALED(status_)) result.signal = WTERMSIG(status_);
  result.out = read_file(out_).take();
  result.err = read_file(err_).take();
  return result;
}

Ended run(const std::vector<std::string>& words, const Surroundings& surroundings) {
  return Running(words, surroundings).wait();
}

}  // namespace lmms::e2e
