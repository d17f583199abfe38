#include "core/memory_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "core/proc.h"
#include "core/threads.h"

namespace lmms {

int64_t own_memory_bytes() {
  // not read_system_file, whose buffer would be part of what is measured
  std::array<char, 8192> text;
  const int file = ::open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(file, text.data() + size, text.size() - size);
    if (n <= 0) break;
    size += static_cast<size_t>(n);
  }
  ::close(file);
  return parse_own_memory(std::string_view(text.data(), size)).value_or(0);
}

MemoryWatch::MemoryWatch(std::chrono::milliseconds interval)
    : thread_([this, interval] {
        name_this_thread("memory watch");
        std::unique_lock lock(mutex_);
        do {
          look();
        } while (!ends_.wait_for(lock, interval, [this] { return ended_; }));
      }) {}

MemoryWatch::~MemoryWatch() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ends_.notify_all();
}

int64_t MemoryWatch::peak_bytes() {
  look();
  return peak_;
}

void MemoryWatch::look() {
  const int64_t now = own_memory_bytes();
  int64_t most = peak_;
  while (now > most && !peak_.compare_exchange_weak(most, now)) {
  }
}

}  // namespace lmms
