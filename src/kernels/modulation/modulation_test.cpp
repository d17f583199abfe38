#include "kernels/modulation/modulation.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/modulation/modulation_testing.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;

class ModulationOnCpu
    : public ::testing::TestWithParam<std::tuple<testing::ModulationCase, at::ScalarType>> {};

TEST_P(ModulationOnCpu, matches_its_definition) {
  const auto& [c, dtype] = GetParam();
  testing::expect_modulation_matches(c, dtype, at::kCPU);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ModulationOnCpu,
    ::testing::Combine(::testing::ValuesIn(testing::modulation_cases(testing::kOnCpu)),
                       ::testing::Values(at::kFloat, at::kBFloat16)));

TEST(Modulation, made_again_has_the_same_bits) {
  for (const TokenRows& rows : {equal_rows(3, 4), ragged_rows({5, 1, 6}, at::kCPU)}) {
    const at::Tensor x = random("x", {13, 8}, at::kBFloat16), shift = random("shift", {3, 8}),
                     scale = random("scale", {3, 8});
    const Normed n = modulated_norm(x, x, shift, {shift, scale, rows});
    EXPECT_TRUE(n.recompute.run(n.recompute.kept, n.recompute.number).equal(n.y));
  }
}

TEST(Modulation, takes_parts_of_longer_rows) {
  const at::Tensor x = random("x", {12, 8}), all = random("all", {3, 24}).set_requires_grad(true);
  const auto part = [&](int64_t i) { return all.narrow(1, 8 * i, 8); };
  const auto whole = [&](int64_t i) { return part(i).contiguous(); };
  const TokenRows rows = equal_rows(3, 4);
  const Normed parts = modulated_norm(x, x, part(0), {part(1), part(2), rows}),
               wholes = modulated_norm(x, x, whole(0), {whole(1), whole(2), rows});
  EXPECT_TRUE(parts.y.equal(wholes.y));
  const auto gradient = [&](const at::Tensor& y) {
    return torch::autograd::grad({(y * y).sum()}, {all})[0];
  };
  EXPECT_TRUE(gradient(parts.y).equal(gradient(wholes.y)));
}

TEST(TokenRows, of_segments_leave_the_pad_out) {
  const AttentionPlan equal = attention_plan({4, 4, 3}, at::kCPU, AttentionMode::full),
                      ragged = attention_plan({4, 2, 3}, at::kCPU, AttentionMode::full);
  const TokenRows two = rows_of_segments(equal, 2), others = rows_of_segments(ragged, 2);
  EXPECT_EQ(two.rows, 2);
  EXPECT_FALSE(two.starts.defined());
  EXPECT_EQ(two.lengths.item<int64_t>(), 4);
  ASSERT_TRUE(others.starts.defined());
  const auto* starts = others.starts.const_data_ptr<int32_t>();
  EXPECT_EQ(std::vector<int32_t>(starts, starts + 3), (std::vector<int32_t>{0, 4, 6}));
}

}  // namespace
}  // namespace lmms::kernels
