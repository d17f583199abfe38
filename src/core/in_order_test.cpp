#include "core/in_order.h"

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace lmms {
namespace {

// The later, the quicker: results are ready in another order than they were begun.
int64_t square(int64_t i) {
  std::this_thread::sleep_for(std::chrono::microseconds(50 * (7 - i % 8)));
  return i * i;
}

TEST(InOrder, gives_results_in_order_however_many_threads_make_them) {
  for (const size_t threads : {1, 2, 5}) {
    ThreadPool pool(threads, "test");
    InOrder squares(pool, 50, 7, square);
    for (int64_t i = 0; i < 50; ++i) EXPECT_EQ(squares.next(), i * i);
    EXPECT_EQ(squares.next(), std::nullopt);
    EXPECT_EQ(squares.next(), std::nullopt);
  }
}

TEST(InOrder, keeps_no_more_results_than_it_may) {
  ThreadPool pool(3, "test");
  std::atomic<int64_t> made = 0;
  InOrder numbers(pool, 100, 4, [&](int64_t i) {
    ++made;
    return i;
  });
  for (int64_t taken = 1; taken <= 100; ++taken) {
    ASSERT_TRUE(numbers.next());
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    EXPECT_LE(made, taken - 1 + 4);
  }
}

TEST(InOrder, throws_what_a_call_threw_in_its_turn) {
  ThreadPool pool(4, "test");
  InOrder numbers(pool, 4, 4, [](int64_t i) {
    if (i == 2) throw std::runtime_error("two");
    return i;
  });
  EXPECT_EQ(numbers.next(), 0);
  EXPECT_EQ(numbers.next(), 1);
  EXPECT_THROW(numbers.next(), std::runtime_error);
  EXPECT_EQ(numbers.next(), 3);
}

TEST(InOrder, that_ends_early_does_only_what_has_begun) {
  std::atomic<int64_t> made = 0;
  ThreadPool pool(1, "test");
  {
    InOrder numbers(pool, 1000, 1000, [&](int64_t i) {
      ++made;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return i;
    });
    ASSERT_EQ(numbers.next(), 0);
  }
  EXPECT_LT(made, 100);
}

TEST(InOrder, of_nothing_is_at_its_end) {
  ThreadPool pool(1, "test");
  InOrder none(pool, 0, 3, square);
  EXPECT_EQ(none.next(), std::nullopt);
}

}  // namespace
}  // namespace lmms
