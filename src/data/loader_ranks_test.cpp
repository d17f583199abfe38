// Several ranks that share the rows of a step, each in a thread of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "core/ranks_testing.h"
#include "data/assign.h"
#include "data/loader_testing.h"
#include "data/outcome_exchange.h"

namespace lmms::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using MakeProcessor = std::function<std::shared_ptr<const Processor>(int32_t rank)>;

std::shared_ptr<const Processor> made(int32_t) {
  return std::make_shared<MadeProcessor>();
}

/// The steps of every rank to the end; `state`: that they go on from. Ranks have different numbers
/// of threads.
std::vector<std::vector<StepBatch>> run_ranks(int32_t ranks,
                                              const std::shared_ptr<const Dataset>& data,
                                              const LoaderOptions& options,
                                              const MakeProcessor& processor = made,
                                              const std::string& state = "") {
  std::vector<std::vector<StepBatch>> steps(static_cast<size_t>(ranks));
  RanksInThreads(ranks).run([&](Ranks& channel) {
    LoaderOptions of_rank = options;
    of_rank.ranks = channel.open_channel("data");
    of_rank.threads = 1 + channel.rank() % 3;
    Loader loader(data, processor(channel.rank()), of_rank);
    if (!state.empty()) loader.restore(state);
    steps[static_cast<size_t>(channel.rank())] = run(loader);
  });
  return steps;
}

/// That of `ranks`, whose rows are those of `alone`, a run of one rank with a row a micro-step.
void expect_rows_of(const std::vector<StepBatch>& alone,
                    const std::vector<std::vector<StepBatch>>& ranks,
                    const LoaderOptions& options) {
  const auto count = static_cast<int32_t>(ranks.size());
  for (const auto& steps : ranks) ASSERT_EQ(steps.size(), alone.size());
  for (size_t k = 0; k < alone.size(); ++k) {
    const auto& rows = alone[k].micro_steps;
    const auto micro_steps = static_cast<size_t>(
        micro_steps_of(static_cast<int64_t>(rows.size()), count, options.rows_per_micro_step));
    for (size_t r = 0; r < ranks.size(); ++r) {
      const StepBatch& step = ranks[r][k];
      EXPECT_EQ(step.state(), alone[k].state());
      EXPECT_EQ(step.tokens, alone[k].tokens);
      EXPECT_EQ(step.supervised_tokens, alone[k].supervised_tokens);
      EXPECT_EQ(step.counts, alone[k].counts);
      EXPECT_EQ(step.samples, alone[k].samples);
      EXPECT_EQ(step.rows, alone[k].rows);
      EXPECT_EQ(step.progress, alone[k].progress);
      EXPECT_EQ(step.skipped.text(), alone[k].skipped.text());
      ASSERT_EQ(step.micro_steps.size(), micro_steps);
      for (size_t m = 0; m < micro_steps; ++m) {
        const Batch& batch = step.micro_steps[m];
        const size_t row = m * ranks.size() + r;
        if (row < rows.size() && rows[row].rows > 0) {
          expect_equal(batch, rows[row]);
        } else {
          EXPECT_EQ(batch.rows, 0);
          EXPECT_EQ(batch.tokens(), count > 1 ? options.pad_multiple : 0)
              << "it takes part in what ranks do together";
          EXPECT_EQ(batch.valid_tokens, 0);
          EXPECT_EQ(batch.supervised_tokens, 0);
        }
      }
    }
  }
}

TEST(LoaderRanks, share_the_rows_of_one_rank_step_by_step) {
  const auto data = rough_data();
  for (auto options : kinds_of_runs()) {
    options.global_rows = 5;
    options.rows_per_micro_step = 1;
    const auto alone = run(data, options);
    for (const int32_t ranks : {2, 3, 4})
      expect_rows_of(alone, run_ranks(ranks, data, options), options);
  }
}

TEST(LoaderRanks, may_make_as_many_steps_ahead_as_each_has_threads) {
  const auto data = rough_data();
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 4, .epochs = 1};
  options.policies.on_bad_sample = OnBadSample::skip;
  options.steps_ahead = 0;  // run_ranks gives them different numbers
  const auto alone = run(data, options);
  expect_rows_of(alone, run_ranks(3, data, options), options);
}

TEST(LoaderRanks, collate_their_rows_by_micro_step) {
  const auto data = rough_data();
  auto options = kinds_of_runs()[0];
  options.global_rows = 8;
  options.rows_per_micro_step = 2;
  const auto ranks = run_ranks(2, data, options);
  ASSERT_GT(ranks[0].size(), 3u);
  EXPECT_EQ(ranks[0][0].micro_steps.size(), 2u);
  EXPECT_EQ(ranks[1][0].micro_steps[1].rows, 2);
}

TEST(LoaderRanks, one_of_one_is_as_without_ranks) {
  const auto data = rough_data();
  auto options = kinds_of_runs()[0];
  const auto expected = run(data, options);
  options.ranks = std::make_shared<OneRank>();
  const auto steps = run(data, options);
  ASSERT_EQ(steps.size(), expected.size());
  for (size_t k = 0; k < steps.size(); ++k) expect_equal(steps[k], expected[k]);
}

TEST(LoaderRanks, go_on_with_another_number_of_them) {
  const auto data = rough_data();
  for (auto options : kinds_of_runs()) {
    options.global_rows = 5;
    options.rows_per_micro_step = 1;
    const auto alone = run(data, options);
    const auto three = run_ranks(3, data, options);
    const size_t k = alone.size() / 2;
    const std::string state = three[1][k].state();
    const std::vector<StepBatch> rest(alone.begin() + static_cast<std::ptrdiff_t>(k + 1),
                                      alone.end());
    for (const int32_t ranks : {1, 2, 4})
      expect_rows_of(rest, run_ranks(ranks, data, options, made, state), options);
  }
}

/// What ranks did with the records, by their ids.
struct Calls {
  std::mutex mutex;
  std::map<int32_t, int> measured;
  std::map<int32_t, std::multiset<int32_t>> decoded;  ///< the ranks that did it
};

/// Samples with images, which are made when their row is; {broken: true} shows when it is decoded,
/// and if `checks` when it is measured.
class WatchedProcessor final : public Processor {
 public:
  WatchedProcessor(Calls& calls, int32_t rank, bool checks)
      : calls_(calls), rank_(rank), checks_(checks) {}
  Result<Measured> measure(const Record& record) const override {
    {
      std::lock_guard lock(calls_.mutex);
      ++calls_.measured[record.fields.at("id")];
    }
    if (checks_ && record.fields.value("broken", false)) return broken(record);
    return made_.measure(record);
  }
  Result<Sample> process(const Record& record) const override {
    {
      std::lock_guard lock(calls_.mutex);
      calls_.decoded[record.fields.at("id")].insert(rank_);
    }
    if (record.fields.value("broken", false)) return broken(record);
    return made_.process(record);
  }
  Result<Sample> prompt(const Conversation&) const override { return Fault{"", "no chat", ""}; }

 private:
  static Fault broken(const Record& record) {
    return {record.origin.text(), "not an image", "mend it"};
  }
  Calls& calls_;
  int32_t rank_;
  bool checks_;
  MadeProcessor made_{/*keeps=*/false};
};

std::shared_ptr<const Dataset> images(int64_t rows, const std::set<int64_t>& broken = {}) {
  return dataset_of(rows, [broken](int64_t row) {
    return Result<nlohmann::json>(nlohmann::json{
        {"id", row}, {"length", 4 + row % 5}, {"patches", 6}, {"broken", broken.contains(row)}});
  });
}

TEST(LoaderRanks, measure_every_record_once_and_decode_it_where_it_is_trained) {
  const auto data = images(90, {7, 40});
  for (const bool packed : {false, true}) {
    LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 6, .epochs = 1};
    options.policies.on_bad_sample = OnBadSample::skip;
    if (packed) options.packing = packing(20);
    Calls calls;
    const auto ranks = run_ranks(3, data, options, [&](int32_t rank) {
      return std::make_shared<WatchedProcessor>(calls, rank, /*checks=*/true);
    });
    EXPECT_EQ(ranks[0].back().skipped.of(SkipReason::bad).count, 2);
    EXPECT_EQ(ranks[2].back().skipped.text(), ranks[0].back().skipped.text());
    EXPECT_EQ(calls.measured.size(), 90u);
    for (const auto& [id, times] : calls.measured) EXPECT_EQ(times, 1) << id;
    std::map<int32_t, std::multiset<int32_t>> trained;
    for (int32_t r = 0; r < 3; ++r) {
      for (const auto& step : ranks[static_cast<size_t>(r)])
        for (const int32_t id : samples_of(step)) trained[id].insert(r);
    }
    EXPECT_EQ(trained.size(), 88u);
    EXPECT_EQ(calls.decoded, trained);
  }
}

/// The step (from 1) at which each rank ended with an Error, and its text.
std::vector<std::pair<size_t, std::string>> ends_of(int32_t ranks,
                                                    const std::shared_ptr<const Dataset>& data,
                                                    const LoaderOptions& options,
                                                    const MakeProcessor& processor) {
  std::vector<std::pair<size_t, std::string>> ends(static_cast<size_t>(ranks));
  RanksInThreads(ranks).run([&](Ranks& channel) {
    LoaderOptions of_rank = options;
    of_rank.ranks = channel.open_channel("data");
    Loader loader(data, processor(channel.rank()), of_rank);
    auto& [step, text] = ends[static_cast<size_t>(channel.rank())];
    try {
      for (step = 1; loader.next(); ++step) continue;
    } catch (const Error& error) {
      text = error.what();
      EXPECT_EQ(error.exit(), Exit::bad_input);
      EXPECT_FALSE(loader.next());
    }
  });
  return ends;
}

TEST(LoaderRanks, end_at_one_step_where_a_record_of_one_of_them_cannot_be_measured) {
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 4, .epochs = 1};
  std::vector<int64_t> lengths(24, 3);
  lengths[13] = -1;  // of the second lane, in step 4
  const auto ends = ends_of(3, made_dataset(lengths, false), options, made);
  for (const auto& [step, text] : ends) {
    EXPECT_EQ(step, 4u);
    EXPECT_THAT(text, HasSubstr("made:14: rotten\n    fix: correct the record, or set"));
  }
}

TEST(LoaderRanks, end_at_one_step_where_a_medium_of_one_of_them_cannot_be_decoded) {
  LoaderOptions options{.packing = packing(8), .policies = {}, .global_rows = 4, .epochs = 1};
  const auto data = images(40, {21});
  Calls of_one;
  options.ranks = nullptr;
  Loader alone(data, std::make_shared<WatchedProcessor>(of_one, 0, false), options);
  size_t expected = 1;
  try {
    for (; alone.next(); ++expected) continue;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("made:22: not an image\n    fix: mend it"));
  }
  Calls calls;
  const auto ends = ends_of(3, data, options, [&](int32_t rank) {
    return std::make_shared<WatchedProcessor>(calls, rank, /*checks=*/false);
  });
  for (const auto& [step, text] : ends) {
    EXPECT_EQ(step, expected);
    EXPECT_THAT(text, HasSubstr("made:22: not an image\n    fix: mend it"));
  }
}

/// Measuring throws, as a fault in our own code would.
class ThrowingProcessor final : public Processor {
 public:
  Result<Measured> measure(const Record& record) const override {
    if (record.fields.at("id") == 5) throw std::runtime_error("a fault of ours");
    return made_.measure(record);
  }
  Result<Sample> process(const Record& record) const override { return made_.process(record); }
  Result<Sample> prompt(const Conversation&) const override { return Fault{"", "no chat", ""}; }

 private:
  MadeProcessor made_;
};

TEST(LoaderRanks, learn_of_what_measuring_throws_on_one_of_them) {
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 4, .epochs = 1};
  options.policies.on_bad_sample = OnBadSample::skip;
  const auto data = made_dataset(std::vector<int64_t>(16, 3), false);
  std::atomic<int> failed = 0;
  RanksInThreads(2).run([&](Ranks& channel) {
    LoaderOptions of_rank = options;
    of_rank.ranks = channel.open_channel("data");
    Loader loader(data, std::make_shared<ThrowingProcessor>(), of_rank);
    EXPECT_TRUE(loader.next());
    try {
      loader.next();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("a fault of ours"));
      EXPECT_EQ(error.exit(), Exit::failed);
      ++failed;
    }
  });
  EXPECT_EQ(failed, 2);
}

TEST(LoaderRanks, run_a_tower_together_where_any_of_them_has_something_for_it) {
  const std::vector<int64_t> patches{0, 6, 0, 0, 0, 0, 3, 0, 0, 0, 0};  // rows 1 and 6 have images
  const auto data = images_dataset(patches);
  for (const bool packed : {false, true}) {
    LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 6, .epochs = 1};
    if (packed) options.packing = packing(4);  // a row is a sample all the same
    std::vector<std::vector<bool>> towers, seen;
    for (const auto& steps : run_ranks(2, data, options)) {
      towers.emplace_back();
      seen.emplace_back();
      for (const auto& step : steps) {
        for (const auto& batch : step.micro_steps) {
          towers.back().push_back(batch.media.find(kVision) != nullptr);
          seen.back().push_back(!batch.media.of(kVision).empty());
        }
      }
    }
    // two rows a micro-step, one of each rank; the last step has five rows
    EXPECT_THAT(towers[0], ElementsAre(true, false, false, true, false, false));
    EXPECT_EQ(towers[1], towers[0]);
    EXPECT_THAT(seen[0], ElementsAre(false, false, false, true, false, false));
    EXPECT_THAT(seen[1], ElementsAre(true, false, false, false, false, false));
  }
}

TEST(LoaderRanks, that_read_other_data_are_told_apart_at_once) {
  std::atomic<int> refused = 0;
  RanksInThreads(2).run([&](Ranks& channel) {
    LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 2, .epochs = 1};
    options.ranks = channel.open_channel("data");
    auto loader = make_loader(made_dataset({3, 3, 3, 3}, true, 1 + channel.rank()), options);
    try {
      loader.next();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("the ranks do not read the same data"));
      ++refused;
    }
  });
  EXPECT_EQ(refused, 2);
}

TEST(LoaderRanks, with_other_options_are_told_apart_at_once) {
  const auto data = made_dataset({3, 3, 3, 3}, false);
  const std::vector<std::function<void(LoaderOptions&)>> changes{
      [](LoaderOptions& o) { o.epochs = 2; },
      [](LoaderOptions& o) { o.max_steps = 1; },
      [](LoaderOptions& o) { o.rows_per_micro_step = 2; },
      [](LoaderOptions& o) { o.policies.max_length = 9; },
      [](LoaderOptions& o) { o.policies.max_media[kVision].patches = 9; },
      [](LoaderOptions& o) { o.policies.on_bad_sample = OnBadSample::skip; },
      [](LoaderOptions& o) { o.costs.token = 2; },
      [](LoaderOptions& o) { o.costs.media[kVision].patch = 2; },
      [](LoaderOptions& o) { o.pad_multiple = 8; }};
  for (size_t c = 0; c < changes.size(); ++c) {
    std::atomic<int> refused = 0;
    RanksInThreads(2).run([&](Ranks& channel) {
      LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 2, .epochs = 1};
      options.ranks = channel.open_channel("data");
      if (channel.rank() == 1) changes[c](options);
      auto loader = make_loader(data, options);
      try {
        loader.next();
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("the ranks do not read the same data"));
        ++refused;
      }
    });
    EXPECT_EQ(refused, 2) << c;
  }
}

TEST(LoaderRanks, at_different_places_of_the_loader_do_not_read_each_others_messages) {
  std::atomic<int> refused = 0;
  RanksInThreads(2).run([&](Ranks& channel) {
    try {
      if (channel.rank() == 0) {
        agree_on_failure(channel, nullptr);
      } else {
        OutcomeExchange exchange(channel, [](int64_t) {
          std::promise<Outcome> measured;
          measured.set_value({});
          return measured.get_future();
        });
        exchange.ask(0, 1).get();
      }
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("the ranks have lost each other"));
      EXPECT_EQ(error.exit(), Exit::failed);
      ++refused;
    }
  });
  EXPECT_EQ(refused, 2);
}

/// Channels that call something before they close.
class WatchedRanks final : public Ranks {
 public:
  WatchedRanks(std::unique_ptr<Ranks> inner, std::function<void()> before_close)
      : inner_(std::move(inner)), before_close_(std::move(before_close)) {}
  int32_t rank() const override { return inner_->rank(); }
  int32_t count() const override { return inner_->count(); }
  std::vector<std::string> gather(std::string_view bytes) override { return inner_->gather(bytes); }
  std::unique_ptr<Ranks> open_channel(std::string_view name) override {
    return std::make_unique<WatchedRanks>(inner_->open_channel(name), before_close_);
  }
  void close() override {
    before_close_();
    inner_->close();
  }

 private:
  std::unique_ptr<Ranks> inner_;
  std::function<void()> before_close_;
};

/// Measuring {id: held} waits.
class HeldProcessor final : public Processor {
 public:
  HeldProcessor(int32_t held, std::atomic<bool>& reached, std::atomic<bool>& released)
      : held_(held), reached_(reached), released_(released) {}
  Result<Measured> measure(const Record& record) const override {
    if (record.fields.at("id") == held_) {
      reached_ = true;
      reached_.notify_all();
      released_.wait(false);
    }
    return made_.measure(record);
  }
  Result<Sample> process(const Record& record) const override { return made_.process(record); }
  Result<Sample> prompt(const Conversation&) const override { return Fault{"", "no chat", ""}; }

 private:
  int32_t held_;
  std::atomic<bool>&reached_, &released_;
  MadeProcessor made_;
};

// Rows of 100 records, so that a step takes several exchanges: the second one is half measured when
// rank 1 leaves, and stays open until rank 0 has it.
TEST(LoaderRanks, that_leave_while_they_measure_make_up_nothing_for_the_others) {
  const auto data = made_dataset(std::vector<int64_t>(2000, 3), false);
  std::atomic<bool> reached = false, released = false;
  std::promise<void> second;
  const std::shared_future<void> has_second = second.get_future().share();
  RanksInThreads(2).run([&](Ranks& channel) {
    LoaderOptions options{.packing = packing(300, PackingStrategy::first_fit, 1),
                          .policies = {},
                          .global_rows = 2,
                          .epochs = 1};
    options.steps_ahead = options.threads = 1;
    if (channel.rank() == 0) {
      options.ranks = channel.open_channel("data");
      auto loader = make_loader(data, options);
      EXPECT_TRUE(loader.next());
      const auto step = loader.next();
      second.set_value();
      ASSERT_TRUE(step);
      EXPECT_EQ(step->samples, 200);
      EXPECT_EQ(step->skipped.total(), 0);
      EXPECT_THAT(
          [&] {
            while (const auto later = loader.next()) EXPECT_EQ(later->skipped.total(), 0);
          },
          testing::ThrowsMessage<Error>(HasSubstr("rank 1 has left")));
    } else {
      options.ranks = std::make_shared<WatchedRanks>(channel.open_channel("data"), [&] {
        released = true;
        released.notify_all();
        has_second.wait_for(std::chrono::seconds(20));
      });
      Loader loader(data, std::make_shared<HeldProcessor>(301, reached, released), options);
      EXPECT_TRUE(loader.next());
      reached.wait(false);
    }
  });
}

TEST(LoaderRanks, leave_when_they_like_and_the_others_have_the_steps_before) {
  const auto data = made_dataset(std::vector<int64_t>(400, 3), false);
  RanksInThreads(3).run([&](Ranks& channel) {
    LoaderOptions options{.packing = packing(10), .policies = {}, .global_rows = 3, .epochs = 9};
    options.ranks = channel.open_channel("data");
    auto loader = make_loader(data, options);
    for (int k = 0; k < 20; ++k) EXPECT_TRUE(loader.next());
    if (channel.rank() == 1) return;
    EXPECT_THAT(
        [&] {
          while (loader.next()) continue;
        },
        testing::ThrowsMessage<Error>(HasSubstr("rank 1 has left")));
  });
}

TEST(LoaderRanks, exchange_what_they_measured_about_once_a_step) {
  const auto data = made_dataset(random_lengths(600, 20), false);
  for (const bool packed : {false, true}) {
    LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 4, .epochs = 1};
    if (packed) options.packing = packing(64);
    const RanksInThreads group(2);
    int64_t steps = 0;
    group.run([&](Ranks& channel) {
      LoaderOptions of_rank = options;
      of_rank.threads = 1;
      of_rank.ranks = channel.open_channel("data");
      auto loader = make_loader(data, of_rank);
      const auto count = static_cast<int64_t>(run(loader).size());
      if (channel.rank() == 0) steps = count;
    });
    // one to hand a step over, and not more for its rows
    EXPECT_LE(group.gathers(), 2 * steps + 2) << packed;
  }
}

}  // namespace
}  // namespace lmms::data
