#include "core/ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "core/ranks_testing.h"

namespace lmms {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Ranks, one_rank_gathers_what_it_gave) {
  OneRank one;
  EXPECT_EQ(one.count(), 1);
  EXPECT_THAT(one.gather("mine"), ElementsAre("mine"));
  EXPECT_THAT(one.open_channel("other")->gather(""), ElementsAre(""));
  EXPECT_THAT(gather_values(one, int64_t{7}), ElementsAre(7));
}

TEST(Ranks, gathers_every_ranks_bytes_in_order_of_ranks) {
  RanksInThreads group(3);
  group.run([](Ranks& ranks) {
    for (int round = 0; round < 100; ++round) {
      const auto mine = std::string(static_cast<size_t>(ranks.rank()), 'x') + std::to_string(round);
      const auto text = std::to_string(round);
      EXPECT_THAT(ranks.gather(mine), ElementsAre(text, "x" + text, "xx" + text));
    }
    EXPECT_THAT(gather_values(ranks, 0.5 * ranks.rank()), ElementsAre(0.0, 0.5, 1.0));
  });
  EXPECT_EQ(group.gathers(), 101);
}

TEST(Ranks, channels_do_not_meet_each_other) {
  RanksInThreads group(2);
  group.run([](Ranks& ranks) {
    // two openings of one name are two channels, used in another order by each rank
    auto first = ranks.open_channel("data"), second = ranks.open_channel("data");
    std::jthread other([&] {
      for (int i = 0; i < 50; ++i) EXPECT_THAT(second->gather("b"), ElementsAre("b", "b"));
    });
    for (int i = 0; i < 50; ++i) EXPECT_THAT(first->gather("a"), ElementsAre("a", "a"));
    other.join();
    EXPECT_THAT(ranks.gather("c"), ElementsAre("c", "c"));
  });
}

TEST(Ranks, a_rank_that_leaves_ends_the_gathers_that_it_has_not_given_to) {
  RanksInThreads group(3);
  std::atomic<int> failed = 0;
  group.run([&](Ranks& ranks) {
    EXPECT_EQ(ranks.gather("all").size(), 3u);
    if (ranks.rank() == 1) return;
    try {
      ranks.gather("two");
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("rank 1 has left"));
      EXPECT_EQ(error.exit(), Exit::failed);
      ++failed;
    }
  });
  EXPECT_EQ(failed, 2);
}

TEST(Ranks, a_waiting_gather_ends_when_another_thread_closes_its_channel) {
  RanksInThreads group(2);
  const auto first = group.rank(0), second = group.rank(1);
  std::jthread closer([&] { first->close(); });
  EXPECT_THROW(first->gather("alone"), Error);
  first->close();
}

TEST(Ranks, values_of_another_size_are_refused) {
  RanksInThreads group(2);
  EXPECT_THROW(group.run([](Ranks& ranks) {
    if (ranks.rank() == 0) {
      gather_values(ranks, int32_t{1});
    } else {
      gather_values(ranks, int64_t{1});
    }
  }),
               Error);
}

TEST(Ranks, a_rank_that_does_not_come_is_an_error_after_a_while) {
  RanksInThreads group(2, std::chrono::milliseconds(20));
  const auto first = group.rank(0), second = group.rank(1);
  EXPECT_THROW(first->gather("alone"), Error);
}

}  // namespace
}  // namespace lmms
