#include "parallel/bucket.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace lmms::parallel {
namespace {

std::vector<BucketEntry> entries() {
  return {{"norm", {5}, false}, {"wide", {3, 300}, true}, {"bias", {256}, false}, {"m", {2, 2}}};
}

Bucket bucket(at::ScalarType dtype, at::ScalarType gradient, bool trainable = true) {
  return Bucket({"unit", dtype, gradient, trainable}, entries(), at::kCPU);
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
  EXPECT_EQ(b.weights().numel(), b.size());
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
  const Bucket b({"unit"}, {{"norm", {5}, false}}, at::kCPU);
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
    EXPECT_EQ(b.gradients().scalar_type(), gradient_dtype);
    EXPECT_TRUE(b.gradient(0).equal(at::full({3, 300}, 3.0, b.gradients().options())));
    EXPECT_EQ(b.gradients().sum(at::kDouble).item<double>(), 2700.0);  // the gaps stay zero
    b.zero_gradients();
    EXPECT_EQ(b.gradients().abs().max().item<double>(), 0.0);
  }
}

TEST(Bucket, sums_of_bf16_weights_lose_nothing_in_fp32_slots) {
  Bucket b = bucket(at::kBFloat16, at::kFloat);
  const at::Tensor w = b.leaf(1);
  for (double factor : {256.0, 1.0}) torch::autograd::backward({(w * factor).sum()}, {});
  EXPECT_EQ(b.gradient(1).max().item<double>(), 257.0);  // which bf16 does not have
}

TEST(Bucket, masters_are_the_weights_in_fp32_and_apart_from_them_in_bf16) {
  const Bucket full = bucket(at::kFloat, at::kFloat), half = bucket(at::kBFloat16, at::kFloat);
  EXPECT_TRUE(full.masters().is_same(full.weights()));
  EXPECT_EQ(half.masters().scalar_type(), at::kFloat);
  EXPECT_EQ(half.weights().scalar_type(), at::kBFloat16);
}

TEST(Bucket, frozen_has_neither_master_nor_gradient) {
  Bucket b = bucket(at::kFloat, at::kFloat, /*trainable=*/false);
  EXPECT_FALSE(b.masters().defined());
  EXPECT_FALSE(b.gradients().defined());
  EXPECT_FALSE(b.leaf(0).requires_grad());
  EXPECT_NO_THROW(b.zero_gradients());
}

}  // namespace
}  // namespace lmms::parallel
