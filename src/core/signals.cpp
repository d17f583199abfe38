#include "core/signals.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace lmms {
namespace {

std::atomic<int> received_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

void handle(int signal) {
  const int before = received_signal.exchange(signal);
  if (before == SIGINT && signal == SIGINT) ::_exit(128 + SIGINT);
}

}  // namespace

StopSignals::StopSignals() {
  received_signal = 0;
  std::signal(SIGINT, handle);
  std::signal(SIGTERM, handle);
  // Under nohup the closed terminal is to be passed over.
  hang_up_ = std::signal(SIGHUP, SIG_IGN) != SIG_IGN;
  if (hang_up_) std::signal(SIGHUP, handle);
}

StopSignals::~StopSignals() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  if (hang_up_) std::signal(SIGHUP, SIG_DFL);
}

int StopSignals::received() const {
  return received_signal;
}

}  // namespace lmms
