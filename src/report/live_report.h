#pragma once
/// report.html of a run that is going on.
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "report/run_files.h"

namespace lmms::report {

/// A thread that reads the files of a run and writes FOLDER/report.html anew, whole or not at all,
/// whenever something has changed: every `period`, soon after refresh(), and once more at the end.
/// It takes at most a few hundredths of a core: where a page takes long to make, the pauses grow
/// with it. A page that cannot be written (a full disk) is one warning; it is tried again.
class LiveReport {
 public:
  LiveReport(std::filesystem::path folder, ReadConfig read_config,
             std::chrono::milliseconds period = std::chrono::seconds(20));
  /// The last page. What the run has written is in it, so write the end of the journal before.
  ~LiveReport();
  LiveReport(const LiveReport&) = delete;
  LiveReport& operator=(const LiveReport&) = delete;

  /// Returns at once. Cheap enough to be called every step.
  void refresh();

 private:
  void run();

  std::filesystem::path folder_;
  ReadConfig read_config_;
  std::chrono::milliseconds period_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool refresh_requested_ = false, stop_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace lmms::report
