#include "train/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace lmms::train {
namespace {

using testing::HasSubstr;
using testing::Not;

ProgressLine in_the_middle() {
  ProgressLine line;
  line.step = 1234;
  line.total_steps = 9999;
  line.done = 0.499;
  line.loss = 2.71828;
  line.tokens_per_second = 123456;
  line.mfu = 0.4321;
  line.memory_bytes = int64_t{61} << 30;
  line.seconds_left = 3723;
  return line;
}

TEST(ProgressBar, fits_every_width_without_its_last_column) {
  ProgressLine wild = in_the_middle();
  wild.loss = std::numeric_limits<double>::quiet_NaN();
  wild.tokens_per_second = 1e12;
  wild.done = 1.5;
  wild.total_steps.reset();
  wild.step = int64_t{1} << 60;
  for (const ProgressLine& line : {in_the_middle(), ProgressLine{}, wild}) {
    for (int width = 20; width <= 200; ++width) {
      const std::string bar = render_bar(line, width);
      EXPECT_LT(static_cast<int>(bar.size()), width) << bar;
      EXPECT_EQ(bar.find('\n'), std::string::npos);
    }
  }
}

TEST(ProgressBar, shows_everything_where_there_is_room) {
  EXPECT_EQ(render_bar(in_the_middle(), 200),
            "[" + std::string(14, '#') + std::string(16, '.') +
                "]  49 % | step 1234/9999 | loss 2.7183 | 123.5k tok/s | 1 h 02 min left | "
                "MFU 43.2 % | 61.0 GiB");
}

TEST(ProgressBar, leaves_the_least_needed_out_first) {
  const std::string narrow = render_bar(in_the_middle(), 60);
  EXPECT_THAT(narrow, HasSubstr("loss 2.7183"));
  EXPECT_THAT(narrow, Not(HasSubstr("GiB")));
  EXPECT_EQ(render_bar(in_the_middle(), 25), " 49 % | step 1234/9999");
}

TEST(ProgressBar, says_100_percent_at_the_end_alone) {
  ProgressLine line;
  line.done = 0.9999;
  EXPECT_THAT(render_bar(line, 40), HasSubstr(" 99 %"));
  line.done = 1;
  EXPECT_THAT(render_bar(line, 40), HasSubstr("100 %"));
}

TEST(ProgressBar, plain_lines_hold_the_same_fields) {
  EXPECT_EQ(
      render_plain(in_the_middle()),
      "step 1234/9999 | loss 2.7183 | 123.5k tok/s | 1 h 02 min left | MFU 43.2 % | 61.0 GiB");
}

TEST(TextOfSeconds, takes_the_units_that_fit) {
  EXPECT_EQ(text_of_seconds(-3), "0 s");
  EXPECT_EQ(text_of_seconds(59.4), "59 s");
  EXPECT_EQ(text_of_seconds(185), "3 min 05 s");
  EXPECT_EQ(text_of_seconds(3720), "1 h 02 min");
}

}  // namespace
}  // namespace lmms::train
