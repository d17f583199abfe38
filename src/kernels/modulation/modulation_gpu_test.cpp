#include "kernels/gpu_testing.h"
#include "kernels/modulation/modulation.h"
#include "kernels/modulation/modulation_testing.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;

class ModulationOnGpu
    : public testing::GpuTestWith<std::tuple<testing::ModulationCase, at::ScalarType>> {};

TEST_P(ModulationOnGpu, matches_its_definition) {
  const auto& [c, dtype] = GetParam();
  testing::expect_modulation_matches(c, dtype, at::kCUDA);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ModulationOnGpu,
    ::testing::Combine(::testing::ValuesIn(testing::modulation_cases(testing::kOnGpu)),
                       ::testing::Values(at::kFloat, at::kBFloat16)));

TEST_F(ModulationOnGpu, made_again_and_run_again_has_the_same_bits) {
  const TokenRows rows = ragged_rows({100, 256, 17, 1}, at::kCUDA);
  const auto on_gpu = [](const char* name, at::IntArrayRef shape, at::ScalarType dtype) {
    return random(name, shape, dtype).to(at::kCUDA);
  };
  const at::Tensor x = on_gpu("x", {380, 1152}, at::kBFloat16),
                   delta = on_gpu("delta", {380, 1152}, at::kBFloat16),
                   gate = on_gpu("gate", {4, 1152}, at::kFloat),
                   shift = on_gpu("shift", {4, 1152}, at::kFloat),
                   scale = on_gpu("scale", {4, 1152}, at::kFloat);
  const testing::Op op = [&](const testing::Tensors& t) {
    const Normed n = modulated_norm(t[0], t[1], t[2], {t[3], t[4], rows});
    EXPECT_TRUE(n.recompute.run(n.recompute.kept, n.recompute.number).equal(n.y));
    return n.y;
  };
  const testing::Outcome once = testing::run(op, {x, delta, gate, shift, scale}),
                         again = testing::run(op, {x, delta, gate, shift, scale});
  EXPECT_TRUE(once.value.equal(again.value));
  for (size_t i = 0; i < once.gradients.size(); ++i)
    EXPECT_TRUE(once.gradients[i].equal(again.gradients[i])) << "gradient " << i;
}

}  // namespace
}  // namespace lmms::kernels
