#include "kernels/qk_norm_rope/qk_norm_rope.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "kernels/norm/norm_cases.h"
#include "kernels/op_testing.h"
#include "kernels/qk_norm_rope/qk_norm_rope_cases.h"
#include "kernels/rope/rope_cases.h"

namespace lmms::kernels {
namespace {

using testing::random;
using testing::Tensors;

class QkNormRopeOnCpu
    : public ::testing::TestWithParam<std::tuple<testing::QkNormRopeCase, at::ScalarType>> {};

TEST_P(QkNormRopeOnCpu, norms_each_head_then_rotates) {
  const auto& [c, dtype] = GetParam();
  const at::Tensor angle = random("angle", {c.T, c.D / 2});
  const auto with = [&, norm = c.norm](auto rotate, auto normed) {
    return [=](const Tensors& t) {
      const at::ScalarType type = t[0].scalar_type();
      return rotate(norm ? normed(t[0], t[1]) : t[0], angle.cos().to(type), angle.sin().to(type));
    };
  };
  Tensors in{random("x", {c.T, c.q_heads, c.D}, dtype)};
  if (c.norm) in.push_back(random("w", {c.D}, dtype));
  testing::expect_as_good_as(
      [&](const Tensors& t) {
        const at::ScalarType type = t[0].scalar_type();
        return qk_norm_rope(t[0], {t.size() > 1 ? t[1] : at::Tensor(), {}}, testing::kNormEps,
                            angle.cos().to(type), angle.sin().to(type));
      },
      with(testing::plain_rope, testing::plain_rms_norm), in);
}

INSTANTIATE_TEST_SUITE_P(Cases, QkNormRopeOnCpu,
                         ::testing::Combine(::testing::ValuesIn(testing::cases_for(
                                                testing::kOnCpu, testing::kQkNormRopeCases)),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

}  // namespace
}  // namespace lmms::kernels
