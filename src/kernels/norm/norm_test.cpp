#include "kernels/norm/norm.h"

#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/norm/norm_testing.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::kNormEps;
using testing::random;
using testing::Tensors;

class NormOnCpu : public ::testing::TestWithParam<std::tuple<testing::NormCase, at::ScalarType>> {};

TEST_P(NormOnCpu, matches_its_definition) {
  const auto& [c, dtype] = GetParam();
  testing::expect_norms_match(c, dtype, at::kCPU);
}

INSTANTIATE_TEST_SUITE_P(Cases, NormOnCpu,
                         ::testing::Combine(::testing::ValuesIn(testing::cases_for(
                                                testing::kOnCpu, testing::kNormCases)),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

TEST(RmsNorm, survives_rows_of_zeros) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto out = testing::run(
        [](const Tensors& t) {
          return norm(t[0], {{t[1], {}}, {}, kNormEps});
        },
        {random("x", {4, 16}, dtype) * 0.0, random("w", {16}, dtype)});
    EXPECT_EQ(out.value.abs().max().item<double>(), 0.0);
    EXPECT_TRUE(out.gradients[0].isfinite().all().item<bool>());
  }
}

// freeze_modules may name a single tensor.
TEST(LayerNorm, trains_a_bias_beside_a_frozen_weight_and_the_other_way_round) {
  for (const bool weight_trains : {false, true}) {
    const at::Tensor x = random("x", {5, 8}), w = random("w", {8}), b = random("b", {8});
    (weight_trains ? w : b).set_requires_grad(true);
    norm(x, {{w, {}}, {b, {}}, kNormEps}).sum().backward();
    EXPECT_EQ(w.grad().defined(), weight_trains);
    ASSERT_EQ(b.grad().defined(), !weight_trains);
    if (weight_trains) continue;
    EXPECT_EQ((b.grad() - 5.0).abs().max().item<double>(), 0.0);
  }
}

}  // namespace
}  // namespace lmms::kernels
