#pragma once
/// Saves that run beside the training.
#include <exception>
#include <functional>
#include <thread>

namespace lmms::checkpoint {

/// Runs one job at a time on a thread of its own. What a job throws comes out of the next call of
/// start() or wait(); the destructor waits, and prints an error that nobody asked for.
class BackgroundWriter {
 public:
  BackgroundWriter() = default;
  ~BackgroundWriter();
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  /// Waits for the job before, rethrows its error, then starts this one.
  void start(std::function<void()> job);
  /// Waits for the running job, if any, and rethrows its error.
  void wait();

 private:
  std::jthread thread_;
  std::exception_ptr error_;  // written by the thread, read after joining it
};

}  // namespace lmms::checkpoint
