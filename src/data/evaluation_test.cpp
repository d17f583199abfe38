#include "data/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/data_testing.h"

namespace lmms::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::vector<int32_t>> run(const std::vector<int64_t>& lengths,
                                      const EvaluationOptions& options,
                                      SkipCounts* skipped = nullptr) {
  EvaluationLoader loader(made_dataset(lengths, false), std::make_shared<MadeProcessor>(), options);
  std::vector<std::vector<int32_t>> batches;
  while (auto batch = loader.next()) {
    auto& ids = batches.emplace_back();
    for (const auto& segment : batch->segments) {
      ids.push_back(batch->input_ids[static_cast<size_t>(segment.start)]);
    }
  }
  if (skipped) *skipped = loader.skipped();
  return batches;
}

using Ids = std::vector<int32_t>;

TEST(Evaluation, meets_every_sample_once_and_in_order) {
  EvaluationOptions options{.policies = {}, .batch_samples = 3};
  EXPECT_THAT(run({2, 3, 4, 5, 6, 7, 8}, options), ElementsAre(Ids{0, 1, 2}, Ids{3, 4, 5}, Ids{6}));
  options.threads = 3;
  EXPECT_THAT(run({2, 3, 4, 5, 6, 7, 8}, options), ElementsAre(Ids{0, 1, 2}, Ids{3, 4, 5}, Ids{6}));
}

TEST(Evaluation, fills_batches_up_to_a_number_of_tokens) {
  EvaluationOptions options{.policies = {}, .batch_samples = 1, .batch_tokens = 10};
  EXPECT_THAT(run({4, 6, 7, 20, 2, 2}, options), ElementsAre(Ids{0, 1}, Ids{2}, Ids{3}, Ids{4, 5}));
}

TEST(Evaluation, follows_the_policies_and_counts) {
  EvaluationOptions options{.policies = {.on_bad_sample = OnBadSample::skip,
                                         .on_overlong = OnOverlong::truncate,
                                         .max_length = 5}};
  SkipCounts skipped;
  EXPECT_THAT(run({3, -1, 9, 0, 1}, options, &skipped), ElementsAre(Ids{0, 2}));
  EXPECT_EQ(skipped.total(), 3);
  EXPECT_EQ(skipped.truncated.count, 1);
  options.policies.on_bad_sample = OnBadSample::fail;
  EXPECT_THAT(
      [&] {
        run({3, -1}, options);
      },
      testing::ThrowsMessage<Error>(HasSubstr("made:2: rotten")));
  EXPECT_THAT(run({-1, 0}, {.policies = {.on_bad_sample = OnBadSample::skip}}), ElementsAre());
}

TEST(Evaluation, deals_batches_to_ranks_and_ends_on_all_at_once) {
  EvaluationOptions options{.policies = {}, .batch_samples = 2};
  options.ranks = 2;
  EXPECT_THAT(run({2, 2, 2, 2, 2}, options), ElementsAre(Ids{0, 1}, Ids{4}));
  options.rank = 1;
  EXPECT_THAT(run({2, 2, 2, 2, 2}, options), ElementsAre(Ids{2, 3}, Ids{}));
}

}  // namespace
}  // namespace lmms::data
