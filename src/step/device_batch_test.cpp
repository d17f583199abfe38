#include "step/device_batch.h"

#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/collate.h"

namespace lmms::step {
namespace {

using testing::HasSubstr;

/// Two segments of 3 and 2 tokens; positions 1, 2 and 4 are supervised.
data::Batch two_segments() {
  data::Batch batch;
  batch.input_ids = {5, 6, 7, 8, 9};
  batch.labels = {0, 7, 2, 0, 3};
  batch.weights = {0, 1, 0.5f, 0, 1};
  batch.position_ids = {0, 1, 2, 0, 1};
  batch.segments = {{.start = 0, .length = 3, .sample = 0}, {.start = 3, .length = 2, .sample = 1}};
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

TEST(DeviceBatch, has_a_part_of_media_where_any_rank_has_some) {
  data::Batch batch = two_segments();
  EXPECT_TRUE(to_device(batch, 1.0, 10, at::kCPU).media.empty());
  batch.media[kVision];
  const nn::Batch elsewhere = to_device(batch, 1.0, 10, at::kCPU);
  ASSERT_TRUE(elsewhere.media.find(kVision));
  EXPECT_TRUE(elsewhere.media.find(kVision)->empty());
  EXPECT_FALSE(elsewhere.media.find("sound"));
  batch.media[kVision] = {std::string(kVision), {1, 2, 3, 4, 5, 6, 7, 8}, {{1, 2, 2}}, {}, {1, 2}};
  const nn::Batch here = to_device(batch, 1.0, 10, at::kCPU);
  EXPECT_EQ(here.media.of(kVision).values.sizes(), at::IntArrayRef({4, 2}));
  EXPECT_TRUE(here.media.of(kVision).rows.equal(at::tensor({1, 2}, at::kLong)));
}

TEST(DeviceBatch, carries_the_extras_of_samples) {
  data::Batch batch = two_segments();
  batch.extras["times"] = {{0.5f, 0.25f, 1}, {1, 2}};
  const nn::Batch out = to_device(batch, 1.0, 10, at::kCPU);
  ASSERT_EQ(out.extras.count("times"), 1u);
  EXPECT_TRUE(out.extras.at("times").values.equal(at::tensor({0.5f, 0.25f, 1.0f})));
  EXPECT_EQ(out.extras.at("times").lengths, (std::vector<int64_t>{1, 2}));
}

TEST(DeviceBatch, plans_attention_from_modes_and_samples_of_segments) {
  data::Batch batch = two_segments();
  batch.segments[0].mode = AttentionMode::full;
  batch.segments[1].sample = 0;  // both of one sample: the second sees the first
  batch.segments[1].role = 1;
  const kernels::AttentionPlan plan = to_device(batch, 1.0, 10, at::kCPU).attention;
  ASSERT_EQ(plan.segments.size(), 2u);
  EXPECT_EQ(plan.segments[0], (kernels::AttentionSegment{3, 3, AttentionMode::full, 0, 0}));
  EXPECT_EQ(plan.segments[1], (kernels::AttentionSegment{2, 2, AttentionMode::causal, 0, 1}));
  EXPECT_FALSE(plan.uniform);
}

// A plan of several modes has no fused kernel.
TEST(DeviceBatch, is_padded_in_the_mode_of_its_segments) {
  for (const AttentionMode mode :
       {AttentionMode::causal, AttentionMode::full, AttentionMode::noise}) {
    data::Sample sample;
    sample.text.input_ids = {1, 2, 3};
    sample.text.labels = {1, 1, 1};
    sample.segments = {{.length = 3, .mode = mode}};
    const data::RowSamples row{std::make_shared<const data::Sample>(sample)};
    const data::Batch batch = data::collate({&row, 1}, /*pad_multiple=*/8, /*pad_id=*/0);
    const kernels::AttentionPlan plan = to_device(batch, 1.0, 10, at::kCPU).attention;
    EXPECT_EQ(plan.lengths, (std::vector<int64_t>{3, 5}));
    EXPECT_TRUE(plan.uniform);
    EXPECT_EQ(plan.causal, mode == AttentionMode::causal);
  }
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
}  // namespace lmms::step
