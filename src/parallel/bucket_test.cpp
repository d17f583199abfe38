#include "parallel/bucket.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace lmms::parallel {
namespace {

std::vector<BucketEntry> entries() {
  return {{"norm", {5}, false}, {"wide", {3, 300}, true}, {"bias", {256}, false}, {"m", {2, 2}}};
}

Bucket bucket(at::ScalarType dtype, at::ScalarType gradient, bool trainable = true,
              Shard shard = {}) {
  return Bucket({{"unit", dtype, trainable}, gradient, /*masters=*/true, shard}, entries(),
                at::kCPU);
}

TEST(Bucket, lays_decayed_entries_first_and_aligns_every_one) {
  const Bucket b = bucket(at::kFloat, at::kFloat);
  std::vector<std::string> names;
  std::vector<int64_t> offsets, lengths;
  for (const BucketSegment& s : b.segments()) {
    names.push_back(s.entry.name);
    offsets.push_back(s.offset);
    lengths.push_back(s.length);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"wide", "m", "norm", "bias"}));
  EXPECT_EQ(offsets, (std::vector<int64_t>{0, 1024, 1280, 1536}));
  EXPECT_EQ(lengths, (std::vector<int64_t>{900, 4, 5, 256}));
  EXPECT_EQ(b.size(), 1792);
  EXPECT_EQ(b.whole().weights.numel(), b.size());
}

TEST(Bucket, has_one_range_for_decayed_and_one_for_other_entries_that_cover_it) {
  const Bucket b = bucket(at::kFloat, at::kFloat);
  ASSERT_EQ(b.ranges().size(), 2u);
  EXPECT_TRUE(b.ranges()[0].decay);
  EXPECT_EQ(b.ranges()[0].length, 1280);
  EXPECT_FALSE(b.ranges()[1].decay);
  EXPECT_EQ(b.ranges()[1].offset, 1280);
  EXPECT_EQ(b.ranges()[1].length, 512);
}

TEST(Bucket, without_entries_of_a_kind_has_no_range_of_it) {
  const Bucket b({{"unit"}}, {{"norm", {5}, false}}, at::kCPU);
  ASSERT_EQ(b.ranges().size(), 1u);
  EXPECT_FALSE(b.ranges()[0].decay);
}

TEST(Bucket, leaves_have_version_counters_of_their_own) {
  const Bucket b = bucket(at::kFloat, at::kFloat);
  const at::Tensor first = b.leaf(0), second = b.leaf(1);
  EXPECT_EQ(first.const_data_ptr(), b.weight(0).const_data_ptr());
  const auto before = second._version();
  b.leaf(0).detach().add_(1);
  EXPECT_EQ(second._version(), before);
  // an update of one parameter between forward and backward of another is no error
  second.detach().fill_(3);
  const at::Tensor y = (second * second).sum();
  b.weight(0).fill_(2);
  EXPECT_NO_THROW(torch::autograd::backward({y}, {}));
  EXPECT_TRUE(b.gradient(1).equal(at::full({2, 2}, 6.0f)));
}

TEST(Bucket, gradients_of_a_leaf_add_up_in_its_slot) {
  const auto cases = {std::pair(at::kFloat, at::kFloat), std::pair(at::kBFloat16, at::kBFloat16),
                      std::pair(at::kBFloat16, at::kFloat)};
  for (const auto& [dtype, gradient_dtype] : cases) {
    Bucket b = bucket(dtype, gradient_dtype);
    const at::Tensor w = b.leaf(0);
    const void* slot = b.gradient(0).const_data_ptr();
    for (double factor : {1.0, 2.0}) {
      torch::autograd::backward({(w * factor).sum()}, {});
      EXPECT_EQ(w.grad().const_data_ptr(), slot);
    }
    EXPECT_EQ(b.whole().gradients.scalar_type(), gradient_dtype);
    EXPECT_TRUE(b.gradient(0).equal(at::full({3, 300}, 3.0, b.whole().gradients.options())));
    EXPECT_EQ(b.whole().gradients.sum(at::kDouble).item<double>(), 2700.0);  // the gaps stay zero
    b.zero_gradients();
    EXPECT_EQ(b.whole().gradients.abs().max().item<double>(), 0.0);
  }
}

TEST(Bucket, sums_of_bf16_weights_lose_nothing_in_fp32_slots) {
  Bucket b = bucket(at::kBFloat16, at::kFloat);
  const at::Tensor w = b.leaf(1);
  for (double factor : {256.0, 1.0}) torch::autograd::backward({(w * factor).sum()}, {});
  EXPECT_EQ(b.gradient(1).max().item<double>(), 257.0);  // which bf16 does not have
}

TEST(Bucket, has_masters_where_weights_are_not_exact_and_they_never_are_the_weights) {
  const Bucket full = bucket(at::kFloat, at::kFloat), half = bucket(at::kBFloat16, at::kFloat);
  EXPECT_FALSE(full.local().masters.defined());
  EXPECT_TRUE(full.local().exact().is_same(full.local().weights));
  EXPECT_EQ(half.local().masters.scalar_type(), at::kFloat);
  EXPECT_TRUE(half.local().exact().is_same(half.local().masters));
  EXPECT_EQ(half.local().weights.scalar_type(), at::kBFloat16);
  const Bucket none({{"unit", at::kBFloat16}, at::kBFloat16, /*masters=*/false}, entries(),
                    at::kCPU);
  EXPECT_FALSE(none.local().masters.defined());
  EXPECT_EQ(none.local().exact().scalar_type(), at::kBFloat16);
}

TEST(Bucket, frozen_has_neither_master_nor_gradient) {
  Bucket b = bucket(at::kBFloat16, at::kFloat, /*trainable=*/false);
  EXPECT_FALSE(b.local().masters.defined());
  EXPECT_FALSE(b.local().gradients.defined());
  EXPECT_FALSE(b.whole().gradients.defined());
  EXPECT_FALSE(b.leaf(0).requires_grad());
  EXPECT_NO_THROW(b.zero_gradients());
}

TEST(Bucket, of_one_shard_is_its_own_shard) {
  const Bucket b = bucket(at::kFloat, at::kFloat);
  EXPECT_TRUE(b.local().weights.is_same(b.whole().weights));
  EXPECT_TRUE(b.local().gradients.is_same(b.whole().gradients));
  EXPECT_EQ(b.local().offset, 0);
  EXPECT_EQ(b.local().length, b.size());
}

TEST(Bucket, is_split_evenly_into_shards_with_memory_of_their_own) {
  for (const int64_t count : {2, 3, 4}) {
    int64_t next = 0, decayed = 0, others = 0;
    for (int64_t index = 0; index < count; ++index) {
      const Bucket b = bucket(at::kBFloat16, at::kFloat, true, {index, count});
      EXPECT_EQ(b.size() % (kAlignment * count), 0);
      EXPECT_LT(b.size(), 1792 + kAlignment * count);
      EXPECT_EQ(b.local().length, b.size() / count);
      EXPECT_EQ(b.local().offset, next);
      next += b.local().length;
      for (const at::Tensor& t : {b.local().weights, b.local().masters, b.local().gradients})
        EXPECT_EQ(t.numel(), b.local().length);
      EXPECT_FALSE(b.local().gradients.is_alias_of(b.whole().gradients));
      int64_t end = 0;
      for (const BucketRange& range : b.ranges()) {
        EXPECT_EQ(range.offset, end);
        end += range.length;
        (range.decay ? decayed : others) += range.length;
      }
      EXPECT_EQ(end, b.local().length);
    }
    EXPECT_EQ(decayed, 1280);
    EXPECT_EQ(decayed + others, next);
  }
}

// Elements of local() that a shard holds of the middle of segment 0 and of the gap behind it.
TEST(Bucket, says_what_a_shard_holds_of_a_range) {
  std::vector<Range> held;
  for (int64_t index = 0; index < 4; ++index)
    held.push_back(bucket(at::kFloat, at::kFloat, true, {index, 4}).local_range(0, {500, 524}));
  // 2048 elements, 512 a shard
  EXPECT_EQ(held[0], (Range{500, 12}));
  EXPECT_EQ(held[1], (Range{0, 512}));
  EXPECT_EQ(held[2].length, 0);
  EXPECT_EQ(held[3].length, 0);
}

TEST(Bucket, leaves_follow_the_weights_into_another_buffer) {
  Bucket b = bucket(at::kFloat, at::kFloat, true, {0, 2});
  const at::Tensor first = b.leaf(0), second = b.leaf(1);
  const at::Tensor left = at::full({b.size() + 100}, 2.0f), right = at::full({b.size()}, 3.0f);
  b.point_at(left);
  const at::Tensor y = (first * first).sum() + (second * second).sum();
  b.release();
  left.fill_(-1);
  b.point_at(right);
  EXPECT_EQ(first.const_data_ptr(), right.const_data_ptr());
  torch::autograd::backward({y}, {});
  EXPECT_TRUE(b.gradient(0).equal(at::full({3, 300}, 6.0f)));
  EXPECT_TRUE(b.gradient(1).equal(at::full({2, 2}, 6.0f)));
  EXPECT_EQ(b.local().weights.abs().max().item<double>(), 0.0);
}

TEST(Bucket, refuses_a_buffer_that_it_does_not_fit) {
  Bucket b = bucket(at::kFloat, at::kFloat, true, {0, 2});
  EXPECT_THROW(b.point_at(at::full({b.size() - 1}, 1.0f)), c10::Error);
  EXPECT_THROW(b.point_at(at::full({b.size()}, 1.0, at::kBFloat16)), c10::Error);
  Bucket one = bucket(at::kFloat, at::kFloat);
  EXPECT_THROW(one.point_at(at::full({one.size()}, 1.0f)), c10::Error);
}

}  // namespace
}  // namespace lmms::parallel
