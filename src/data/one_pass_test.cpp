// One pass over a data set without packing: what evaluation reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "data/data_testing.h"
#include "data/loader.h"

namespace lmms::data {
namespace {

using testing::ElementsAre;
using Ids = std::vector<int32_t>;

LoaderOptions one_pass(int64_t batch_samples, int threads = 1) {
  LoaderOptions options;
  options.global_rows = options.rows_per_micro_step = batch_samples;
  options.epochs = 1;
  options.threads = threads;
  options.steps_ahead = 0;
  options.end_if_all_skipped = false;
  return options;
}

/// The ids of the samples of each batch.
std::vector<Ids> run(const std::vector<int64_t>& lengths, const LoaderOptions& options,
                     SkipCounts* skipped = nullptr,
                     std::shared_ptr<const Processor> processor = nullptr) {
  if (!processor) processor = std::make_shared<MadeProcessor>();
  Loader loader(made_dataset(lengths, /*shuffle=*/false), std::move(processor), options);
  std::vector<Ids> batches;
  while (const auto step = loader.next()) {
    auto& ids = batches.emplace_back();
    for (const auto& batch : step->micro_steps) {
      for (const auto& segment : batch.segments)
        ids.push_back(batch.input_ids[static_cast<size_t>(segment.start)]);
    }
    if (skipped) *skipped = step->skipped;
  }
  return batches;
}

TEST(OnePass, meets_every_sample_once_and_in_order) {
  for (const int threads : {1, 3}) {
    EXPECT_THAT(run({2, 3, 4, 5, 6, 7, 8}, one_pass(3, threads)),
                ElementsAre(Ids{0, 1, 2}, Ids{3, 4, 5}, Ids{6}));
  }
}

TEST(OnePass, follows_the_policies_and_counts) {
  LoaderOptions options = one_pass(2);
  options.policies = {
      .on_bad_sample = OnBadSample::skip, .on_overlong = OnOverlong::truncate, .max_length = 5};
  SkipCounts skipped;
  EXPECT_THAT(run({3, -1, 9, 0, 1}, options, &skipped), ElementsAre(Ids{0}, Ids{2}, Ids{}));
  EXPECT_EQ(skipped.total(), 3);
  EXPECT_EQ(skipped.truncated.count, 1);
}

TEST(OnePass, without_anything_to_take_ends_and_tells_why) {
  LoaderOptions options = one_pass(2);
  options.policies.on_bad_sample = OnBadSample::skip;
  SkipCounts skipped;
  EXPECT_THAT(run({-1, 0, 1}, options, &skipped), ElementsAre(Ids{}, Ids{}));
  EXPECT_EQ(skipped.total(), 3);
}

/// Makes samples as media are made, behind their measuring, and remembers who did.
class WatchedProcessor final : public Processor {
 public:
  Result<Measured> measure(const Record& record) const override { return made_.measure(record); }
  Result<Sample> process(const Record& record) const override {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    if (std::this_thread::get_id() == owner_) by_owner = true;
    ++inside_;
    while (inside_ > most && std::chrono::steady_clock::now() < deadline) most = inside_.load();
    // the first wait for a second thread, if there is to be one
    while (most < wanted && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    --inside_;
    return made_.process(record);
  }
  Result<Sample> prompt(const Conversation&) const override { return Fault{"", "no chat", ""}; }

  int wanted = 1;
  mutable std::atomic<int> most = 0;
  mutable std::atomic<bool> by_owner = false;

 private:
  MadeProcessor made_{/*keeps=*/false};
  std::thread::id owner_ = std::this_thread::get_id();
  mutable std::atomic<int> inside_ = 0;
};

TEST(OnePass, decodes_in_its_threads_and_several_batches_at_once) {
  const auto watched = std::make_shared<WatchedProcessor>();
  watched->wanted = 4;
  const auto batches = run(std::vector<int64_t>(64, 3), one_pass(1, 4), nullptr, watched);
  EXPECT_EQ(batches.size(), 64u);
  EXPECT_FALSE(watched->by_owner);
  EXPECT_GE(watched->most, 4);
}

}  // namespace
}  // namespace lmms::data
