#pragma once
/// Work that threads do ahead of whoever takes its results, one after another.
#include <atomic>
#include <cstdint>
#include <deque>
#include <future>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/threads.h"

namespace lmms {

/// work(0), ..., work(count - 1), done by a pool of which at most `ahead` are waiting to be taken:
/// that bounds the memory. They are taken in order, so that the number of threads changes nothing
/// but the time. Ends with the calls that have begun; `pool` must outlive it.
template <class Work>
class InOrder {
 public:
  using Value = std::invoke_result_t<const Work&, int64_t>;

  InOrder(ThreadPool& pool, int64_t count, int64_t ahead, Work work)
      : pool_(pool), count_(count), ahead_(ahead < 1 ? 1 : ahead), work_(std::move(work)) {}
  ~InOrder() {
    stopping_ = true;
    for (auto& result : waiting_) result.wait();
  }
  InOrder(const InOrder&) = delete;
  InOrder& operator=(const InOrder&) = delete;

  /// The next result; nullopt at the end. Throws what its call threw.
  std::optional<Value> next() {
    while (begun_ < count_ && static_cast<int64_t>(waiting_.size()) < ahead_) {
      waiting_.push_back(pool_.submit([this, i = begun_++]() -> std::optional<Value> {
        if (stopping_) return std::nullopt;
        return work_(i);
      }));
    }
    if (waiting_.empty()) return std::nullopt;
    auto result = std::move(waiting_.front());
    waiting_.pop_front();
    return result.get();
  }

 private:
  ThreadPool& pool_;
  int64_t count_, ahead_;
  Work work_;
  int64_t begun_ = 0;
  std::atomic<bool> stopping_ = false;
  std::deque<std::future<std::optional<Value>>> waiting_;
};

}  // namespace lmms
