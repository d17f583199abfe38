#include <gtest/gtest.h>

#include "kernels/activation/activation_testing.h"
#include "kernels/gpu_testing.h"

namespace lmms::kernels {
namespace {

class ActivationOnGpu
    : public testing::GpuTestWith<std::tuple<testing::ActivationCase, at::ScalarType>> {};

TEST_P(ActivationOnGpu, matches_its_definition) {
  const auto& [c, dtype] = GetParam();
  testing::expect_activations_match(c, dtype, at::kCUDA);
}

INSTANTIATE_TEST_SUITE_P(Cases, ActivationOnGpu,
                         ::testing::Combine(::testing::ValuesIn(testing::cases_for(
                                                testing::kOnGpu, testing::kActivationCases)),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

}  // namespace
}  // namespace lmms::kernels
