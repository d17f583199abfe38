#include "checkpoint/background_writer.h"

#include <gtest/gtest.h>

#include <future>
#include <stdexcept>

#include "core/error.h"

namespace lmms::checkpoint {
namespace {

TEST(BackgroundWriter, a_job_runs_beside_its_caller) {
  BackgroundWriter writer;
  std::promise<void> caller_went_on;
  bool done = false;
  writer.start([&] {
    caller_went_on.get_future().wait();
    done = true;
  });
  caller_went_on.set_value();  // reached only because start() did not wait for the job
  writer.wait();
  EXPECT_TRUE(done);
}

TEST(BackgroundWriter, jobs_run_one_after_another) {
  std::vector<int> order;
  {
    BackgroundWriter writer;
    for (int i = 0; i < 5; ++i) writer.start([&order, i] { order.push_back(i); });
  }  // waits for the last
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(BackgroundWriter, an_error_comes_out_of_the_next_call_once) {
  BackgroundWriter writer;
  const auto fail = [] { throw Error("disk", "is full", "", Exit::failed); };
  writer.start(fail);
  EXPECT_THROW(writer.start([] { FAIL() << "must not run"; }), Error);
  writer.start(fail);
  EXPECT_THROW(writer.wait(), Error);
  writer.wait();
}

TEST(BackgroundWriter, an_error_that_nobody_asked_for_is_printed) {
  testing::internal::CaptureStderr();
  {
    BackgroundWriter writer;
    writer.start([] { throw Error("disk", "is full", "", Exit::failed); });
  }
  EXPECT_NE(testing::internal::GetCapturedStderr().find("disk: is full"), std::string::npos);
}

}  // namespace
}  // namespace lmms::checkpoint
