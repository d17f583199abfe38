#pragma once
/// One run at a time in an output folder.
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>

namespace lmms::checkpoint {

/// What a test replaces.
struct LockOptions {
  /// flock(2), which some network file systems lack.
  std::function<int(int descriptor, int operation)> flock;
  std::chrono::milliseconds sign_of_life{20'000};  ///< between two of a run that holds a lock file
  std::chrono::milliseconds dead_after{180'000};   ///< without one
  std::chrono::milliseconds settled_after{
      200};  ///< when a lock file that was made is looked at again
};

/// Keeps a second run out of an output folder while this object lives.
///
/// By a lock of the system, which lets go when the process ends, however it ends. Where the file
/// system has none, by the file `.lmms-lock`: made exclusively, it says which process of which
/// machine holds it, and a thread touches it now and then. A later run takes over what a killed one
/// left: at once if that process ran here and is gone, else when the file has not been touched for
/// `dead_after` (by the file system's clock, so that machines may disagree about the time).
class OutputLock {
 public:
  /// Creates the folder if need be. Throws Error if another run holds it.
  explicit OutputLock(const std::filesystem::path& output, LockOptions options = {});
  ~OutputLock();
  OutputLock(const OutputLock&) = delete;
  OutputLock& operator=(const OutputLock&) = delete;

 private:
  class LockFile;
  int descriptor_;
  std::unique_ptr<LockFile> file_;  // where the system has no lock
};

}  // namespace lmms::checkpoint
