#include "train/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>
#include <vector>

#include "core/log.h"

namespace lmms::train {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
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

TEST(ProgressBar, tells_images_in_place_of_tokens_where_samples_are_images) {
  ProgressLine line = in_the_middle();
  line.images_per_second = 641.2;
  EXPECT_THAT(render_bar(line, 200), HasSubstr("| 641 img/s |"));
  EXPECT_THAT(render_plain(line), Not(HasSubstr("tok/s")));
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

TEST(ProgressLines, hold_what_the_bar_has_and_what_belongs_to_a_record) {
  ProgressLine line = in_the_middle();
  line.learning_rate = 1.25e-5;
  line.grad_norm = 0.98765;
  EXPECT_EQ(render_plain(line),
            "step 1234/9999 | loss 2.7183 | lr 1.25e-05 | grad norm 0.988 | 123.5k tok/s | "
            "1 h 02 min left | MFU 43.2 % | 61.0 GiB");
  line.skipped = true;
  EXPECT_THAT(render_plain(line), EndsWith(" | skipped"));
}

/// What is printed of steps 1 to 4, of which every second is logged.
std::string printed(ProgressForm form) {
  testing::internal::CaptureStderr();
  {
    Progress progress(form);
    ProgressLine line;
    for (line.step = 1; line.step <= 4; ++line.step) {
      line.logged = line.step % 2 == 0;
      progress.update(line);
    }
    log::warning("beside it");
    progress.finish();
  }
  return testing::internal::GetCapturedStderr();
}

std::vector<std::string> beginnings(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    out.push_back(line.substr(0, line.find(" | ")));
  return out;
}

TEST(Progress, by_logged_steps_is_a_line_for_each) {
  EXPECT_THAT(beginnings(printed(ProgressForm::logged_steps)),
              ElementsAre("step 2", "step 4", "warning: beside it"));
}

TEST(Progress, now_and_then_begins_at_once_and_ends_with_the_last_step) {
  EXPECT_THAT(beginnings(printed(ProgressForm::now_and_then)),
              ElementsAre("step 1", "warning: beside it", "step 4"));
}

TEST(Progress, of_none_prints_nothing) {
  EXPECT_EQ(printed(ProgressForm::none), "warning: beside it\n");
}

TEST(Progress, as_a_bar_steps_aside_for_a_line) {
  EXPECT_THAT(printed(ProgressForm::bar), HasSubstr("\r\033[Kwarning: beside it\n\r\033[K["));
}

TEST(ProgressForm, follows_what_is_asked_for) {
  EXPECT_EQ(progress_form(/*disable_tqdm=*/true), ProgressForm::logged_steps);
  log::show_from(log::Level::warning);
  EXPECT_EQ(progress_form(/*disable_tqdm=*/true), ProgressForm::none);
  EXPECT_EQ(progress_form(/*disable_tqdm=*/false), ProgressForm::none);
  log::show_from(log::Level::info);
}

TEST(TextOfSeconds, takes_the_units_that_fit) {
  EXPECT_EQ(text_of_seconds(-3), "0 s");
  EXPECT_EQ(text_of_seconds(59.4), "59 s");
  EXPECT_EQ(text_of_seconds(185), "3 min 05 s");
  EXPECT_EQ(text_of_seconds(3720), "1 h 02 min");
}

}  // namespace
}  // namespace lmms::train
