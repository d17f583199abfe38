#include "core/units.h"

#include <gtest/gtest.h>

namespace lmms {
namespace {

TEST(Units, group_digits_by_three) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-12), "-12");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(grouped(-1234), "-1,234");
}

TEST(Units, show_bytes_in_the_unit_that_fits) {
  EXPECT_EQ(size_text(512), "512 B");
  EXPECT_EQ(size_text(3 << 19), "1.5 MiB");
  EXPECT_EQ(size_text(800 << 20), "800 MiB");
  EXPECT_EQ(size_text(int64_t{9} << 28), "2.2 GiB");
}

}  // namespace
}  // namespace lmms
