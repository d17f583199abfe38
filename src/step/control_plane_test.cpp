#include "step/control_plane.h"

#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <mutex>
#include <stdexcept>

#include "core/ranks_testing.h"

namespace lmms::step {
namespace {

using testing::HasSubstr;
using Next = ControlPlane::Next;
using Wish = ControlPlane::Wish;

constexpr int32_t kRanks = 3;

/// What each rank came to, by rank.
template <class T, class Work>
std::vector<T> on_all(const Work& work) {
  std::vector<T> out(kRanks);
  RanksInThreads(kRanks).run([&](Ranks& ranks) {
    ControlPlane control(ranks);
    out[static_cast<size_t>(ranks.rank())] = work(control);
  });
  return out;
}

/// Runs what throws on a rank to its text; other ranks are told.
template <class Work>
std::string failure_of(ControlPlane& control, const Work& work) {
  try {
    work();
  } catch (const std::exception& e) {
    control.fail(e.what());
    return e.what();
  }
  return "";
}

[[noreturn]] void find_no_memory() {
  C10_THROW_ERROR(OutOfMemoryError, "no memory");
}

TEST(ControlPlane, a_stop_on_one_rank_stops_all_after_the_same_step) {
  const auto steps = on_all<int>([](ControlPlane& control) {
    int done = 0;
    // the signal reaches rank 1 in its third step
    const auto wish = [&] { return control.rank() == 1 && done == 3 ? Wish::stop : Wish::go_on; };
    while (control.before_step(wish(), true) == Next::step) ++done;
    return done;
  });
  EXPECT_EQ(steps, (std::vector{3, 3, 3}));
}

TEST(ControlPlane, all_ranks_end_together_where_one_has_seen_enough) {
  const auto last = on_all<Next>([](ControlPlane& control) {
    const bool first = control.rank() == 0;
    EXPECT_EQ(control.before_step(first ? Wish::enough : Wish::go_on, true), Next::enough);
    return control.before_step(first ? Wish::enough : Wish::stop, true);  // a signal comes first
  });
  EXPECT_EQ(last, std::vector(kRanks, Next::stop));
}

TEST(ControlPlane, all_ranks_come_to_the_end_of_the_data_together) {
  const auto last = on_all<Next>([](ControlPlane& control) {
    for (int step = 0; step < 4; ++step)
      EXPECT_EQ(control.before_step(Wish::go_on, true), Next::step);
    return control.before_step(Wish::go_on, false);
  });
  EXPECT_EQ(last, std::vector(kRanks, Next::end));
}

TEST(ControlPlane, refuses_data_that_end_on_some_ranks_alone) {
  const auto errors = on_all<std::string>([](ControlPlane& control) {
    return failure_of(control, [&] { control.before_step(Wish::go_on, control.rank() != 2); });
  });
  for (const std::string& error : errors) EXPECT_THAT(error, HasSubstr("2 of 3 have a batch"));
}

TEST(ControlPlane, repeats_on_all_ranks_what_lacked_memory_on_one) {
  std::mutex mutex;
  std::vector<std::string> changes;
  const auto tries = on_all<int>([&](ControlPlane& control) {
    int tried = 0;
    control.until_memory_suffices(
        [&] {
          ++tried;
          if (control.rank() == 1 && tried < 3) find_no_memory();
        },
        {.propose = [&] { return std::optional("keep less, try " + std::to_string(tried)); },
         .change =
             [&](const std::string& proposal) {
               const std::lock_guard lock(mutex);
               changes.push_back(proposal);
             },
         .give_up = [](const std::string&) { FAIL(); }});
    return tried;
  });
  EXPECT_EQ(tries, (std::vector{3, 3, 3}));
  std::sort(changes.begin(), changes.end());
  const std::string first = "keep less, try 1", second = "keep less, try 2";
  EXPECT_EQ(changes, (std::vector{first, first, first, second, second, second}));
}

TEST(ControlPlane, ends_all_ranks_where_one_is_left_without_memory) {
  const auto errors = on_all<std::string>([](ControlPlane& control) {
    return failure_of(control, [&] {
      control.until_memory_suffices(
          [&] {
            if (control.rank() == 1) find_no_memory();
          },
          {.propose = [] { return std::nullopt; },
           .change = [](const std::string&) { FAIL(); },
           .give_up = [](const std::string& cause) { throw Error("step 4", cause); }});
    });
  });
  EXPECT_THAT(errors[0], HasSubstr("rank 1: found no memory"));
  EXPECT_THAT(errors[1], HasSubstr("step 4: no memory"));
  EXPECT_THAT(errors[2], HasSubstr("rank 1: found no memory"));
}

TEST(ControlPlane, a_fault_of_one_rank_ends_all_and_names_it) {
  const auto errors = on_all<std::string>([](ControlPlane& control) {
    return failure_of(control, [&] {
      for (int step = 0; step < 5; ++step) {
        control.before_step(Wish::go_on, true);
        if (control.rank() == 2 && step == 3) throw Error("chats.jsonl:7", "bad record");
        control.until_memory_suffices([] {}, {});
      }
    });
  });
  EXPECT_THAT(errors[0], HasSubstr("rank 2: chats.jsonl:7: bad record"));
  EXPECT_THAT(errors[1], HasSubstr("rank 2: chats.jsonl:7: bad record"));
  EXPECT_EQ(errors[2], "chats.jsonl:7: bad record");
}

TEST(ControlPlane, finds_ranks_that_ask_different_questions) {
  const auto errors = on_all<std::string>([](ControlPlane& control) {
    return failure_of(control, [&] {
      if (control.rank() == 0) {
        control.any(false);
      } else {
        control.before_step(Wish::go_on, true);
      }
    });
  });
  for (const std::string& error : errors) EXPECT_THAT(error, HasSubstr("lost each other"));
}

TEST(ControlPlane, refuses_questions_inside_work_that_may_be_repeated) {
  OneRank alone;
  ControlPlane of_one(alone);
  const double value = 1;
  const std::vector<std::function<void()>> questions{
      [&] { of_one.any(false); }, [&] { of_one.before_step(Wish::go_on, true); },
      [&] {
        of_one.sums({&value, 1});
      },
      [&] { of_one.until_memory_suffices([] {}, {}); }};
  for (const auto& question : questions) {
    EXPECT_THROW(of_one.until_memory_suffices(question, {}), std::logic_error);
    EXPECT_NO_THROW(question()) << "the work is over";
  }
  const auto errors = on_all<std::string>([](ControlPlane& control) {
    return failure_of(control, [&] {
      control.until_memory_suffices(
          [&] {
            if (control.rank() == 1) control.any(false);
          },
          {});
    });
  });
  EXPECT_THAT(errors[0], HasSubstr("rank 1: the ranks are asked inside work"));
  EXPECT_THAT(errors[1], HasSubstr("the ranks are asked inside work"));
  EXPECT_THAT(errors[2], HasSubstr("rank 1: the ranks are asked inside work"));
}

TEST(ControlPlane, adds_up_in_the_order_of_ranks) {
  const auto sums = on_all<std::vector<double>>([](ControlPlane& control) {
    const std::vector<double> here{0.1 * control.rank(), 1e16 * (control.rank() - 1)};
    return control.sums(here);
  });
  for (const auto& sum : sums)
    EXPECT_EQ(sum, (std::vector<double>{0.0 + 0.1 * 0 + 0.1 * 1 + 0.1 * 2, 0.0}));
}

TEST(ControlPlane, of_one_rank_asks_nobody) {
  OneRank alone;
  ControlPlane control(alone);
  EXPECT_EQ(control.before_step(Wish::go_on, true), Next::step);
  EXPECT_EQ(control.before_step(Wish::stop, true), Next::stop);
  EXPECT_EQ(control.before_step(Wish::stop, false), Next::stop);
  EXPECT_EQ(control.before_step(Wish::go_on, false), Next::end);
  EXPECT_TRUE(control.any(true));
  const double value = 0.1;
  EXPECT_EQ(control.sums({&value, 1}), std::vector{0.1});
  int tried = 0;
  control.until_memory_suffices(
      [&] {
        if (++tried == 1) find_no_memory();
      },
      {.propose = [] { return std::optional<std::string>("less"); },
       .change = [](const std::string& proposal) { EXPECT_EQ(proposal, "less"); },
       .give_up = [](const std::string&) { FAIL(); }});
  EXPECT_EQ(tried, 2);
  control.fail("nobody hears");
}

}  // namespace
}  // namespace lmms::step
