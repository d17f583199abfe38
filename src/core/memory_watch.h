#pragma once
/// How much memory this process takes, and took at most.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace lmms {

/// Bytes in memory that are this process's own: what it allocated, without the pages of files that
/// it has mapped (core/proc.h, parse_own_memory). 0 where the system doesn't say.
int64_t own_memory_bytes();

/// The most that own_memory_bytes() has been while it lives. The kernel keeps a peak of all pages
/// only, those of mapped files among them, so a thread looks every `interval`: what lasts no longer
/// may be missed. A look takes some 20 us.
class MemoryWatch {
 public:
  explicit MemoryWatch(std::chrono::milliseconds interval = std::chrono::milliseconds(20));
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  /// Looks once more.
  int64_t peak_bytes();

 private:
  void look();

  std::atomic<int64_t> peak_ = 0;
  std::mutex mutex_;
  std::condition_variable ends_;
  bool ended_ = false;
  std::jthread thread_;
};

}  // namespace lmms
