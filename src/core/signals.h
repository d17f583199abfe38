#pragma once
/// SIGINT, SIGTERM and SIGHUP (a closed terminal, unless nohup ignores it) ask what runs to come to
/// a good end: a training after its step, an answer after its token.
#include <array>
#include <csignal>
#include <functional>
#include <string>
#include <thread>

namespace lmms {

/// Installs the handlers for its lifetime; afterwards those before it hold again. A second SIGINT
/// ends the process at once. One at a time.
class StopSignals {
 public:
  /// `on_first` is called when the first signal comes, at once, however busy the program is: in a
  /// thread of its own, once.
  explicit StopSignals(std::function<void(int signal)> on_first = {});
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  /// The signal that came last, or 0.
  int received() const;

 private:
  void watch();

  std::function<void(int)> on_first_;
  std::array<struct sigaction, 3> before_{};
  std::thread watcher_;
};

/// "Ctrl-C", "SIGTERM", "SIGHUP (the terminal was closed)": a signal in the words of a message.
std::string signal_text(int signal);

}  // namespace lmms
