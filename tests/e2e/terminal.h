#pragma once
/// Starts the built program at a terminal, types, and reads what it shows.
#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/e2e/program.h"

namespace lmms::e2e {

/// The program under test at a pseudo-terminal of 100 columns. Killed and reaped on destruction.
class Terminal {
 public:
  /// Its home is `surroundings.folder`, unless variables say otherwise.
  Terminal(const std::vector<std::string>& words, Surroundings surroundings);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// As if on the keyboard: \r is Enter, \x03 Ctrl-C, \x04 Ctrl-D, \x1b[A Up.
  void type(const std::string& keys);
  /// Waits until `text` is shown, behind what was awaited before. False if the program ends
  /// without.
  bool shows(const std::string& text);
  /// Waits until so many bytes have come behind what was awaited.
  bool shows_more(size_t bytes);
  /// Waits until the program has ended: its exit code, or -1 if a signal ended it.
  int wait();
  /// All that came, control sequences included.
  const std::string& screen() const { return screen_; }
  pid_t process() const { return process_; }

 private:
  bool read_more(std::chrono::milliseconds time);
  int terminal_ = -1;
  pid_t process_ = -1;
  std::string screen_;
  size_t seen_ = 0;
};

}  // namespace lmms::e2e
