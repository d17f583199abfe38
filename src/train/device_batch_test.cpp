#include "train/device_batch.h"

#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace lmms::train {
namespace {

using testing::HasSubstr;

/// Two segments of 3 and 2 tokens; positions 1, 2 and 4 are supervised.
data::Batch two_segments() {
  data::Batch batch;
  batch.input_ids = {5, 6, 7, 8, 9};
  batch.labels = {0, 7, 2, 0, 3};
  batch.weights = {0, 1, 0.5f, 0, 1};
  batch.position_ids = {0, 1, 2, 0, 1};
  batch.segments = {{0, 3}, {3, 2}};
  return batch;
}

std::string message(const data::Batch& batch) {
  try {
    to_device(batch, 1.0, 10, at::kCPU);
  } catch (const Error& e) {
    EXPECT_EQ(e.exit(), Exit::bad_input);
    return e.what();
  }
  return "";
}

TEST(DeviceBatch, keeps_supervised_positions_and_divides_their_weights) {
  const nn::Batch out = to_device(two_segments(), 4.0, 10, at::kCPU);
  EXPECT_TRUE(out.supervised.equal(at::tensor({1, 2, 4}, at::kLong)));
  EXPECT_TRUE(out.targets.equal(at::tensor({7, 2, 3}, at::kLong)));
  EXPECT_TRUE(out.weights.equal(at::tensor({0.25f, 0.125f, 0.25f})));
}

TEST(DeviceBatch, fills_supervised_positions_up_with_untrained_ones) {
  const Supervised four = supervised_of(two_segments(), 4.0, 4);
  EXPECT_EQ(four.positions, (std::vector<int64_t>{0, 1, 2, 4}));
  EXPECT_EQ(four.targets, (std::vector<int64_t>{0, 7, 2, 3}));
  EXPECT_EQ(four.weights, (std::vector<float>{0, 0.25f, 0.125f, 0.25f}));
  EXPECT_EQ(supervised_of(two_segments(), 1.0, 3).positions, (std::vector<int64_t>{1, 2, 4}));
  EXPECT_EQ(supervised_of(two_segments(), 1.0, 8).positions.size(), 5u);  // all there are
  data::Batch untrained = two_segments();
  untrained.weights.assign(5, 0);
  EXPECT_TRUE(supervised_of(untrained, 1.0, 4).positions.empty());
}

TEST(DeviceBatch, turns_segments_into_lengths_and_their_sums) {
  const kernels::AttentionPlan plan = to_device(two_segments(), 1.0, 10, at::kCPU).attention;
  EXPECT_EQ(plan.lengths, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(plan.max_length, 3);
  EXPECT_TRUE(plan.cu_seqlens.equal(at::tensor({0, 3, 5}, at::kInt)));
}

TEST(DeviceBatch, says_that_every_tower_runs_where_any_rank_has_something_to_see) {
  data::Batch batch = two_segments();
  EXPECT_FALSE(to_device(batch, 1.0, 10, at::kCPU).run_every_tower);
  batch.vision_somewhere = true;
  EXPECT_TRUE(to_device(batch, 1.0, 10, at::kCPU).run_every_tower);
}

TEST(DeviceBatch, without_tokens_is_empty_and_no_error) {
  const nn::Batch out = to_device({}, 1.0, 10, at::kCPU);
  EXPECT_EQ(out.input_ids.numel(), 0);
  EXPECT_EQ(out.supervised.numel(), 0);
  EXPECT_TRUE(out.attention.cu_seqlens.equal(at::tensor({0}, at::kInt)));
}

TEST(DeviceBatch, refuses_ids_outside_the_vocabulary_and_says_what_does_not_fit) {
  data::Batch batch = two_segments();
  batch.input_ids[3] = 10;
  EXPECT_THAT(message(batch), HasSubstr("token id 10 is outside the model's vocabulary of 10"));
  EXPECT_THAT(message(batch), HasSubstr("use the tokenizer that belongs to the model"));
  batch.input_ids[3] = -1;
  EXPECT_THAT(message(batch), HasSubstr("token id -1"));
  batch = two_segments();
  batch.labels[1] = 11;
  EXPECT_THAT(message(batch), HasSubstr("target 11"));
}

}  // namespace
}  // namespace lmms::train
