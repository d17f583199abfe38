// Samples that an objective lays out: under limits, packed, and by any number of threads and ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "core/ranks_testing.h"
#include "data/collate.h"
#include "data/loader_testing.h"

namespace lmms::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int32_t kMask = 1000;

/// Block diffusion with one block: a noised copy, then the clean one at the same positions; of the
/// noised tokens some are masked.
class Twice final : public Drawing {
 public:
  std::string name() const override { return "twice"; }
  bool lays_out() const override { return true; }
  void lay_out(Sample& sample) const override {
    TextPart& text = sample.text;
    const auto n = static_cast<int32_t>(text.input_ids.size());
    text.input_ids.insert(text.input_ids.end(), text.input_ids.begin(), text.input_ids.begin() + n);
    text.labels.assign(text.input_ids.size(), kIgnore);
    for (int copy = 0; copy < 2; ++copy)
      for (int32_t t = 0; t < n; ++t) text.position_ids.push_back(t);
    sample.segments = {{.length = n, .mode = AttentionMode::noise},
                       {.length = n, .mode = AttentionMode::full}};
  }
  void draw(Sample& sample, const DrawKey& key) const override {
    const int64_t n = sample.length() / 2;
    for (int64_t t = 0; t < n; ++t) {
      if (key.uniform(rng::Purpose::corruption, t) > 0.3) continue;
      const auto i = static_cast<size_t>(t);
      sample.text.labels[i] = sample.text.input_ids[i];
      sample.text.input_ids[i] = kMask;
    }
    sample.counts["maskable"] += static_cast<double>(n);
  }
};

LoaderOptions twice(LoaderOptions options) {
  options.draws = {std::make_shared<Twice>(), 5};
  return options;
}

TEST(LayOut, is_measured_and_packed_as_it_will_be_trained) {
  const auto steps =
      run(made_dataset({3, 4, 5}, false),
          twice({.packing = packing(14), .policies = {}, .global_rows = 1, .epochs = 1}));
  ASSERT_EQ(steps.size(), 2u);  // 6 + 8 tokens, then 10
  const Batch& first = steps[0].micro_steps[0];
  EXPECT_EQ(steps[0].tokens, 14);
  EXPECT_EQ(steps[0].samples, 2);
  EXPECT_THAT(first.position_ids, ElementsAre(0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3));
  ASSERT_EQ(first.segments.size(), 4u);
  EXPECT_EQ(first.segments[2].sample, 1);
  EXPECT_EQ(first.segments[2].mode, AttentionMode::noise);
  EXPECT_EQ(first.segments[3].mode, AttentionMode::full);
  EXPECT_EQ(steps[1].tokens, 10);
}

TEST(LayOut, counts_under_the_limit_of_a_row) {
  LoaderOptions options =
      twice({.packing = packing(12), .policies = {}, .global_rows = 1, .epochs = 1});
  options.policies.on_overlong = OnOverlong::drop;
  auto steps = run(made_dataset({7, 6}, false), options);
  ASSERT_FALSE(steps.empty());
  EXPECT_EQ(steps.back().tokens, 12);
  EXPECT_THAT(steps.back().skipped.text(),
              HasSubstr("14 tokens (7 before it is laid out), the limit is 12"));
  options.policies.on_overlong = OnOverlong::truncate;
  for (const int64_t kept_bytes : {int64_t{1} << 20, int64_t{0}}) {  // kept, or made anew
    options.kept_text_bytes = kept_bytes;
    steps = run(made_dataset({100, 6}, false), options);
    ASSERT_EQ(steps.size(), 2u);
    EXPECT_EQ(steps[0].tokens, 12);
    EXPECT_EQ(steps[1].skipped.truncated.first_what, "200 tokens cut to 12");
  }
}

TEST(LayOut, keeps_a_sample_that_counts_though_no_target_was_drawn) {
  // of one token: 7 of 10 have no mask
  const auto steps = run(made_dataset(std::vector<int64_t>(40, 1)),
                         twice({.packing = {}, .policies = {}, .global_rows = 40, .epochs = 1}));
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].samples, 40);
  EXPECT_LT(steps[0].supervised_tokens, 25);
  EXPECT_EQ(steps[0].counts.at("maskable"), 40);
}

TEST(LayOut, is_the_same_for_every_number_of_threads_and_ranks_and_goes_on) {
  const auto data = rough_data();
  for (LoaderOptions options : kinds_of_runs()) {
    options = twice(options);
    options.global_rows = 4;
    options.rows_per_micro_step = 1;
    options.threads = 1;
    const auto expected = run(data, options);
    ASSERT_GT(expected.size(), 3u);
    options.threads = 3;
    options.kept_text_bytes = 0;
    auto loader = Loader(data, std::make_shared<MadeProcessor>(/*keeps=*/false), options);
    loader.restore(expected[1].state());
    const auto rest = run(loader);
    ASSERT_EQ(rest.size(), expected.size() - 2);
    for (size_t k = 0; k < rest.size(); ++k) expect_equal(rest[k], expected[k + 2]);
    RanksInThreads(2).run([&](Ranks& ranks) {
      LoaderOptions of_rank = options;
      of_rank.ranks = ranks.open_channel("data");
      auto shared = make_loader(data, of_rank);
      for (const StepBatch& alone : expected) {
        const auto step = shared.next();
        ASSERT_TRUE(step);
        EXPECT_EQ(step->counts, alone.counts);
        EXPECT_EQ(step->supervised_tokens, alone.supervised_tokens);
        EXPECT_EQ(step->state(), alone.state());
      }
    });
  }
}

TEST(LayOut, gives_positions_of_one_axis_beside_samples_of_three) {
  Sample one, three;
  one.text.input_ids = {1, 2};
  one.text.position_ids = {4, 4};
  three.text.input_ids = {3};
  three.text.position_ids = {7, 8, 9};
  const RowSamples row{std::make_shared<const Sample>(one), std::make_shared<const Sample>(three)};
  EXPECT_THAT(collate({&row, 1}, 1, 0).position_ids, ElementsAre(4, 4, 7, 4, 4, 8, 4, 4, 9));
}

}  // namespace
}  // namespace lmms::data
