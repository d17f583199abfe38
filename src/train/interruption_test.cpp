#include "train/interruption.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

namespace lmms::train {
namespace {

using Kind = Activity::Kind;
using testing::HasSubstr;
using testing::Not;

TEST(StopText, says_what_happens_now_and_what_a_second_one_costs) {
  EXPECT_EQ(stop_text(SIGINT, {Kind::step, 12, 10}),
            "Ctrl-C: finishing step 12, then saving it. A second Ctrl-C ends at once, without the "
            "steps after 10");
  EXPECT_EQ(stop_text(SIGINT, {Kind::step, 3, 0}),
            "Ctrl-C: finishing step 3, then saving it. A second Ctrl-C ends at once, and nothing "
            "is saved yet");
  EXPECT_EQ(stop_text(SIGTERM, {Kind::step, 12, 10}), "SIGTERM: finishing step 12, then saving it");
}

TEST(StopText, knows_what_the_run_is_busy_with) {
  EXPECT_EQ(stop_text(SIGTERM, {Kind::waiting, 0, 0}), "SIGTERM: stopping before the first step");
  EXPECT_EQ(stop_text(SIGTERM, {Kind::waiting, 5, 0}),
            "SIGTERM: stopping after step 5, then saving it");
  EXPECT_EQ(stop_text(SIGTERM, {Kind::waiting, 5, 5}),
            "SIGTERM: stopping after step 5, which is saved already");
  EXPECT_EQ(stop_text(SIGTERM, {Kind::evaluation, 5, 2}),
            "SIGTERM: leaving the evaluation after step 5, then saving step 5");
  EXPECT_EQ(stop_text(SIGTERM, {Kind::evaluation, 0, 0}),
            "SIGTERM: leaving the evaluation before the first step");
  EXPECT_THAT(stop_text(SIGINT, {Kind::saving, 5, 2}), HasSubstr("saving step 5"));
}

TEST(StopText, threatens_with_no_loss_where_there_is_none) {
  for (const Activity& activity : {Activity{Kind::waiting, 5, 5}, Activity{Kind::evaluation, 5, 5},
                                   Activity{Kind::finishing, 5, 2}}) {
    EXPECT_THAT(stop_text(SIGINT, activity), HasSubstr("A second Ctrl-C ends at once"));
    EXPECT_THAT(stop_text(SIGINT, activity), Not(HasSubstr("without")));
    EXPECT_THAT(stop_text(SIGINT, activity), Not(HasSubstr("nothing is saved")));
  }
}

}  // namespace
}  // namespace lmms::train
