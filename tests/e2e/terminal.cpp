#include "tests/e2e/terminal.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace lmms::e2e {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr auto kLongest = 120s;

}  // namespace

Terminal::Terminal(const std::vector<std::string>& words, Surroundings surroundings) {
  surroundings.variables.emplace("TERM", "xterm");
  surroundings.variables.emplace("HOME", surroundings.folder.string());
  surroundings.variables.emplace("XDG_STATE_HOME", "");
  const winsize size{.ws_row = 24, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
  process_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
  if (process_ < 0) throw std::runtime_error("forkpty failed");
  if (process_ == 0) {
    termios settings{};
    ::tcgetattr(STDIN_FILENO, &settings);
    settings.c_iflag |= IUTF8;  // as terminals have it
    ::tcsetattr(STDIN_FILENO, TCSANOW, &settings);
    become_the_program(words, surroundings);
  }
}

Terminal::~Terminal() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  ::close(terminal_);
}

void Terminal::type(const std::string& keys) {
  for (size_t done = 0; done < keys.size();) {
    const ssize_t n = ::write(terminal_, keys.data() + done, keys.size() - done);
    if (n <= 0) throw std::runtime_error("the terminal takes no keys");
    done += static_cast<size_t>(n);
  }
}

bool Terminal::shows(const std::string& text) {
  const auto last = Clock::now() + kLongest;
  for (;;) {
    const size_t at = screen_.find(text, seen_);
    if (at != std::string::npos) {
      seen_ = at + text.size();
      return true;
    }
    if (Clock::now() > last || !read_more(1s)) return false;
  }
}

bool Terminal::shows_more(size_t bytes) {
  const auto last = Clock::now() + kLongest;
  while (screen_.size() < seen_ + bytes) {
    if (Clock::now() > last || !read_more(1s)) return false;
  }
  return true;
}

int Terminal::wait() {
  const auto last = Clock::now() + kLongest;
  while (read_more(1s)) {
    if (Clock::now() > last) ::kill(process_, SIGKILL);
  }
  int status = 0;
  ::waitpid(process_, &status, 0);
  process_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// False if the program has ended, and all that it showed is read.
bool Terminal::read_more(std::chrono::milliseconds time) {
  pollfd wait{terminal_, POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(time.count())) <= 0) return true;
  std::array<char, 4096> bytes;
  const ssize_t n = ::read(terminal_, bytes.data(), bytes.size());
  if (n <= 0) return false;  // EIO: the other side is closed
  screen_.append(bytes.data(), static_cast<size_t>(n));
  return true;
}

}  // namespace lmms::e2e
