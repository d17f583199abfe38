#include "core/clock.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace lmms {
namespace {

TEST(LocalTime, says_how_far_it_is_from_utc) {
  for (const auto& [zone, text] : {std::pair("UTC0", "2026-11-30T22:24:39+00:00"),
                                   {"AAA-1", "2026-11-30T23:24:39+01:00"},
                                   {"BBB3:30", "2026-11-30T18:54:39-03:30"}}) {
    ::setenv("TZ", zone, 1);
    ::tzset();
    EXPECT_EQ(local_time(1796077479.9), text) << zone;
  }
  ::unsetenv("TZ");
  ::tzset();
}

}  // namespace
}  // namespace lmms
