#include "core/threads.h"

#include <pthread.h>

namespace lmms {

void name_this_thread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

ThreadPool::ThreadPool(size_t threads, const std::string& name) {
  workers_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) {
    workers_.emplace_back([this, label = name + std::to_string(i)] {
      name_this_thread(label);
      for (;;) {
        std::function<void()> work;
        {
          std::unique_lock lock(mutex_);
          ready_.wait(lock, [&] { return stop_ || !work_.empty(); });
          if (work_.empty()) return;
          work = std::move(work_.front());
          work_.pop_front();
        }
        work();
      }
    });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  ready_.notify_all();
  workers_.clear();
}

void ThreadPool::enqueue(std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
  }
  ready_.notify_one();
}

}  // namespace lmms
