#include "core/signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <future>

namespace lmms {
namespace {

using namespace std::chrono_literals;

TEST(StopSignals, tell_a_thread_at_once_while_the_program_is_busy) {
  std::promise<int> told;
  std::future<int> signal = told.get_future();
  int times = 0;
  {
    const StopSignals signals([&](int which) {
      ++times;
      told.set_value(which);
    });
    EXPECT_EQ(signals.received(), 0);
    ::kill(::getpid(), SIGTERM);
    ASSERT_EQ(signal.wait_for(60s), std::future_status::ready);
    EXPECT_EQ(signal.get(), SIGTERM);
    ::kill(::getpid(), SIGINT);
    while (signals.received() != SIGINT) ::usleep(1000);
  }
  EXPECT_EQ(times, 1);
}

TEST(StopSignals, that_nobody_sends_tell_nothing) {
  for (int i = 0; i < 20; ++i) {
    const StopSignals signals([](int) { ADD_FAILURE(); });
    EXPECT_EQ(signals.received(), 0);
  }
}

TEST(StopSignals, leave_the_handlers_that_were_there) {
  struct sigaction before {};
  struct sigaction after {};
  std::signal(SIGTERM, SIG_IGN);
  ::sigaction(SIGTERM, nullptr, &before);
  { const StopSignals signals; }
  ::sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
  std::signal(SIGTERM, SIG_DFL);
}

TEST(SecondInterruptDeathTest, ends_the_process) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        std::raise(SIGINT);
        std::raise(SIGINT);
        ::_exit(0);
      },
      testing::ExitedWithCode(128 + SIGINT), "");
}

}  // namespace
}  // namespace lmms
