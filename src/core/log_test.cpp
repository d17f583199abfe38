#include "core/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace lmms::log {
namespace {

using testing::ElementsAre;

/// What is printed by `f`.
template <class F>
std::string printed(F f) {
  testing::internal::CaptureStderr();
  f();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, below_the_shown_level_is_heard_and_not_printed) {
  std::vector<std::string> heard;
  const Listener listener(
      [&](Level level, const std::string& text) { heard.push_back(prefix(level) + text); });
  const std::string text = printed([] {
    info("one");
    show_from(Level::warning);
    info("two");
    notice("three");
    warning("four");
    write_always(Level::notice, "five");
    show_from(Level::info);
  });
  EXPECT_EQ(text, "one\nwarning: four\nnotice: five\n");
  EXPECT_THAT(heard, ElementsAre("one", "two", "notice: three", "warning: four", "notice: five"));
}

TEST(Log, has_as_many_listeners_as_live) {
  int first = 0, second = 0;
  printed([&] {
    const Listener a([&](Level, const std::string&) { ++first; });
    info("x");
    {
      const Listener b([&](Level, const std::string&) { ++second; });
      info("x");
    }
    info("x");
  });
  printed([] { info("x"); });
  EXPECT_EQ(first, 3);
  EXPECT_EQ(second, 1);
}

TEST(Log, a_guard_stands_around_every_line_that_is_printed) {
  const std::string text = printed([] {
    set_line_guard([](const std::function<void()>& print) {
      std::fputs("<", stderr);
      print();
      std::fputs(">", stderr);
    });
    info("x");
    show_from(Level::warning);
    info("not shown");
    show_from(Level::info);
    set_line_guard({});
    info("y");
  });
  EXPECT_EQ(text, "<x\n>y\n");
}

}  // namespace
}  // namespace lmms::log
