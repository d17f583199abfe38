#include "core/signals.h"

#include <semaphore.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>

#include "core/threads.h"

namespace lmms {
namespace {

constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};

std::atomic<int> received_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);
// Wakes the watching thread: of what can, sem_post is allowed in a handler. It is never destroyed.
sem_t arrived;

void handle(int signal) {
  const int saved = errno;
  const int before = received_signal.exchange(signal);
  if (before == SIGINT && signal == SIGINT) {
    // the prompt of the shell does not belong behind a progress bar
    if (::write(STDERR_FILENO, "\n", 1) < 0) {
    }
    ::_exit(128 + SIGINT);
  }
  ::sem_post(&arrived);
  errno = saved;
}

void empty_semaphore() {
  static std::once_flag made;
  std::call_once(made, [] { ::sem_init(&arrived, /*pshared=*/0, 0); });
  while (::sem_trywait(&arrived) == 0) {
  }
}

}  // namespace

StopSignals::StopSignals(std::function<void(int signal)> on_first)
    : on_first_(std::move(on_first)) {
  empty_semaphore();
  received_signal = 0;
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], nullptr, &before_[i]);
    // Under nohup the closed terminal is to be passed over.
    const bool passed_over = kSignals[i] == SIGHUP && before_[i].sa_handler == SIG_IGN;
    if (!passed_over) ::sigaction(kSignals[i], &action, nullptr);
  }
  if (on_first_) watcher_ = std::thread([this] { watch(); });
}

StopSignals::~StopSignals() {
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  if (!watcher_.joinable()) return;
  ::sem_post(&arrived);
  watcher_.join();
}

void StopSignals::watch() {
  name_this_thread("signals");
  while (::sem_wait(&arrived) != 0) {  // a handler ran in this thread
  }
  if (const int signal = received()) on_first_(signal);
}

int StopSignals::received() const {
  return received_signal;
}

std::string signal_text(int signal) {
  if (signal == SIGINT) return "Ctrl-C";
  if (signal == SIGTERM) return "SIGTERM";
  if (signal == SIGHUP) return "SIGHUP (the terminal was closed)";
  return "signal " + std::to_string(signal);
}

}  // namespace lmms
