#include "kernels/gpu_testing.h"
#include "kernels/norm/norm.h"
#include "kernels/norm/norm_testing.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;

class NormOnGpu : public testing::GpuTestWith<std::tuple<testing::NormCase, at::ScalarType>> {};

TEST_P(NormOnGpu, matches_its_definition) {
  const auto& [c, dtype] = GetParam();
  testing::expect_norms_match(c, dtype, at::kCUDA);
}

INSTANTIATE_TEST_SUITE_P(Cases, NormOnGpu,
                         ::testing::Combine(::testing::ValuesIn(testing::cases_for(
                                                testing::kOnGpu, testing::kNormCases)),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

TEST_F(NormOnGpu, recomputed_has_the_same_bits) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = random("x", {77, 1024}, dtype).to(at::kCUDA),
                     r = random("r", {77, 1024}, dtype).to(at::kCUDA),
                     w = random("w", {1024}, dtype).to(at::kCUDA);
    const Normed n = add_norm(x, r, {{w, {}}, {}, testing::kNormEps});
    EXPECT_TRUE(n.recompute.run(n.recompute.kept, n.recompute.number).equal(n.y));
  }
}

}  // namespace
}  // namespace lmms::kernels
