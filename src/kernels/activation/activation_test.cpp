#include <gtest/gtest.h>

#include "kernels/activation/activation_testing.h"

namespace lmms::kernels {
namespace {

class ActivationOnCpu
    : public ::testing::TestWithParam<std::tuple<testing::ActivationCase, at::ScalarType>> {};

TEST_P(ActivationOnCpu, matches_its_definition) {
  const auto& [c, dtype] = GetParam();
  testing::expect_activations_match(c, dtype, at::kCPU);
}

INSTANTIATE_TEST_SUITE_P(Cases, ActivationOnCpu,
                         ::testing::Combine(::testing::ValuesIn(testing::cases_for(
                                                testing::kOnCpu, testing::kActivationCases)),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

}  // namespace
}  // namespace lmms::kernels
