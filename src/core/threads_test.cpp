#include "core/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace lmms {
namespace {

TEST(BoundedQueue, hands_items_over_in_order_and_never_holds_more_than_its_capacity) {
  BoundedQueue<int> queue(3);
  std::atomic<int> pushed = 0, popped = 0, most = 0;
  std::jthread producer([&] {
    for (int i = 0; i < 2000; ++i) {
      queue.push(i);
      ++pushed;
    }
    queue.close();
  });
  int expected = 0;
  while (const auto item = queue.pop()) {
    most = std::max(most.load(), pushed.load() - popped.load());
    ++popped;
    EXPECT_EQ(*item, expected++);
  }
  EXPECT_EQ(expected, 2000);
  EXPECT_LE(most, 3 + 1);  // the item in hand counts too
}

TEST(BoundedQueue, closed_drains_what_is_left_and_takes_no_more) {
  BoundedQueue<int> queue(4);
  queue.push(1);
  queue.push(2);
  queue.close();
  EXPECT_FALSE(queue.push(3));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, closing_wakes_whoever_waits_for_room_or_for_items) {
  BoundedQueue<int> full(1), empty(1);
  full.push(1);
  std::jthread pusher([&] { EXPECT_FALSE(full.push(2)); });
  std::jthread popper([&] { EXPECT_EQ(empty.pop(), std::nullopt); });
  full.close();
  empty.close();
}

TEST(ThreadPool, returns_results_and_exceptions_through_futures) {
  ThreadPool pool(3, "test");
  EXPECT_EQ(pool.size(), 3u);
  auto good = pool.submit([] { return 42; });
  auto bad = pool.submit([]() -> int { throw std::runtime_error("broken"); });
  EXPECT_EQ(good.get(), 42);
  EXPECT_THROW(bad.get(), std::runtime_error);
  EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);  // the thread lives on
}

TEST(ThreadPool, finishes_what_was_submitted_before_it_goes) {
  std::atomic<int> done = 0;
  {
    ThreadPool pool(2, "test");
    for (int i = 0; i < 500; ++i) pool.submit([&] { ++done; });
  }
  EXPECT_EQ(done, 500);
}

}  // namespace
}  // namespace lmms
