#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <gtest/gtest.h>

#include "kernels/gpu_testing.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/linear_testing.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;
using testing::Tensors;

class LinearOnGpu : public testing::GpuTestWith<std::tuple<testing::LinearCase, at::ScalarType>> {};

TEST_P(LinearOnGpu, matches_its_definition) {
  const auto& [c, dtype] = GetParam();
  testing::expect_as_good_as(
      testing::on(at::kCUDA,
                  [](const Tensors& t) {
                    return linear(t[0], {{t[1], {}}, {t[2], {}}});
                  }),
      [](const Tensors& t) { return at::linear(t[0], t[1], t[2]); },
      {random("x", {c.T, c.K}, dtype), random("W", {c.N, c.K}, dtype), random("b", {c.N}, dtype)});
}

TEST_P(LinearOnGpu, gradients_of_weights_go_into_their_slots) {
  const auto& [c, dtype] = GetParam();
  testing::expect_gradients_in_slots(c, dtype, at::kCUDA);
}

// A product that a model computes in fp32, of weights that are kept in bf16.
TEST_F(LinearOnGpu, adds_to_a_slot_narrower_than_its_input) {
  const at::Tensor dy = random("dy", {5, 24}).to(at::kCUDA), x = random("x", {5, 16}).to(at::kCUDA),
                   before = random("slot", {24, 16}, at::kBFloat16).to(at::kCUDA),
                   slot = before.clone();
  EXPECT_FALSE(weight_gradient(dy, x, slot).defined());
  const at::Tensor wanted = before.to(at::kDouble) + dy.to(at::kDouble).t().mm(x.to(at::kDouble));
  EXPECT_LE(testing::relative_error(slot.cpu(), wanted.cpu()), 1.0 / 256);
}

INSTANTIATE_TEST_SUITE_P(Cases, LinearOnGpu,
                         ::testing::Combine(::testing::ValuesIn(testing::cases_for(
                                                testing::kOnGpu, testing::kLinearCases)),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

}  // namespace
}  // namespace lmms::kernels
