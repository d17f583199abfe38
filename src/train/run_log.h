#pragma once
/// train.log: what a run said, line by line, with the time.
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "core/log.h"

namespace lmms::train {

/// Appends every line that is told to the user, shown or not (`--quiet`), and those it is given.
/// Each line of the file begins with the local time and its offset from UTC. A thread of its own
/// writes: a slow or full disk holds no step up and ends no run; what could not be written is
/// counted in the file once it can be again, and warned of once. Thread-safe.
///
/// Until it is opened, lines wait. Of several ranks the first alone opens its own.
class RunLog {
 public:
  RunLog();
  /// Writes what waits.
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  /// Goes on in DIR/train.log. `head` says what begins here and comes before all that wait.
  void open(const std::filesystem::path& dir, const std::string& head);
  /// For the file alone.
  void line(const std::string& text);

 private:
  void write();
  void append(const std::string& lines);

  const double begun_;
  std::filesystem::path path_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string waiting_;
  int64_t lost_ = 0;  ///< lines, since the last that was written
  bool stop_ = false;
  // of the writing thread
  bool mended_ = false;  ///< the file does not end inside a line
  bool warned_ = false;
  log::Listener listener_;
  std::thread writer_;
};

}  // namespace lmms::train
