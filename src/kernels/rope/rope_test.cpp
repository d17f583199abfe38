#include "kernels/rope/rope.h"

#include <gtest/gtest.h>

#include "kernels/op_testing.h"
#include "kernels/rope/rope_cases.h"

namespace lmms::kernels {
namespace {

using testing::random;
using testing::Tensors;

class RopeOnCpu : public ::testing::TestWithParam<std::tuple<testing::RopeCase, at::ScalarType>> {};

TEST_P(RopeOnCpu, matches_rotate_half) {
  const auto& [c, dtype] = GetParam();
  const at::Tensor angle = random("angle", {c.T, c.D / 2}) * 7.0;
  const at::Tensor cos = angle.cos().to(dtype), sin = angle.sin().to(dtype);
  const auto with = [&](auto f) {
    return [=](const Tensors& t) {
      return f(t[0], cos.to(t[0].scalar_type()), sin.to(t[0].scalar_type()));
    };
  };
  testing::expect_as_good_as(with(rope), with(testing::plain_rope),
                             {random("x", {c.T, c.N, c.D}, dtype)});
}

INSTANTIATE_TEST_SUITE_P(Cases, RopeOnCpu,
                         ::testing::Combine(::testing::ValuesIn(testing::cases_for(
                                                testing::kOnCpu, testing::kRopeCases)),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

}  // namespace
}  // namespace lmms::kernels
