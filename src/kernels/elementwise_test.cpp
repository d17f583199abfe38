// The ops of a decoder layer against their plain meaning, in fp32 and bf16, at odd sizes.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/silu.h>

#include "kernels/activation/activation.h"
#include "kernels/norm/norm.h"
#include "kernels/op_testing.h"
#include "kernels/qk_norm_rope/qk_norm_rope.h"
#include "kernels/rope/rope.h"

namespace lmms::kernels {
namespace {

using testing::expect_as_good_as;
using testing::random;
using testing::Tensors;

constexpr double kEps = 1e-6;

at::Tensor plain_norm(const at::Tensor& x, const at::Tensor& w) {
  const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor xf = x.to(wide);
  return w * (xf * (xf.pow(2).mean(-1, true) + kEps).rsqrt()).to(x.scalar_type());
}

at::Tensor plain_rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const int64_t half = x.size(-1) / 2;
  const at::Tensor rotated = at::cat({-x.narrow(-1, half, half), x.narrow(-1, 0, half)}, -1);
  const at::Tensor c = at::cat({cos, cos}, -1).unsqueeze(1),
                   s = at::cat({sin, sin}, -1).unsqueeze(1);
  return x * c + rotated * s;
}

NormWeights weights(const at::Tensor& w) {
  return {{w, {}}, {}, kEps};
}

class Elementwise : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(Elementwise, rms_norm_matches_its_definition) {
  for (const auto& [rows, D] : {std::pair<int64_t, int64_t>{1, 1}, {3, 7}, {65, 128}, {2, 1000}}) {
    expect_as_good_as([](const Tensors& t) { return norm(t[0], weights(t[1])); },
                      [](const Tensors& t) { return plain_norm(t[0], t[1]); },
                      {random("x", {rows, D}, GetParam()), random("w", {D}, GetParam())});
  }
}

TEST_P(Elementwise, rms_norm_survives_rows_of_zeros) {
  const at::Tensor x = random("x", {4, 16}, GetParam()) * 0.0;
  const auto out = testing::run([](const Tensors& t) { return norm(t[0], weights(t[1])); },
                                {x, random("w", {16}, GetParam())});
  EXPECT_EQ(out.value.abs().max().item<double>(), 0.0);
  EXPECT_TRUE(out.gradients[0].isfinite().all().item<bool>());
}

TEST_P(Elementwise, rope_matches_rotate_half) {
  for (const auto& [T, N, D] :
       {std::tuple<int64_t, int64_t, int64_t>{1, 1, 2}, {5, 3, 6}, {17, 4, 64}}) {
    const at::Tensor angle = random("angle", {T, D / 2}) * 7.0;
    const at::Tensor cos = angle.cos().to(GetParam()), sin = angle.sin().to(GetParam());
    const auto with = [&](auto f) {
      return [=](const Tensors& t) {
        return f(t[0], cos.to(t[0].scalar_type()), sin.to(t[0].scalar_type()));
      };
    };
    expect_as_good_as(with(rope), with(plain_rope), {random("x", {T, N, D}, GetParam())});
  }
}

TEST_P(Elementwise, silu_glu_matches_its_definition) {
  for (const auto& [T, I] : {std::pair<int64_t, int64_t>{1, 1}, {3, 7}, {33, 96}}) {
    expect_as_good_as([](const Tensors& t) { return activation(t[0], Activation::silu_glu); },
                      [I = I](const Tensors& t) {
                        return at::silu(t[0].narrow(-1, 0, I)) * t[0].narrow(-1, I, I);
                      },
                      {random("gate_up", {T, 2 * I}, GetParam()) * 4.0});
  }
}

TEST_P(Elementwise, add_norm_returns_norm_and_sum) {
  const Tensors in{random("x", {9, 24}, GetParam()), random("r", {9, 24}, GetParam()),
                   random("w", {24}, GetParam())};
  expect_as_good_as(
      [](const Tensors& t) {
        const Normed n = add_norm(t[0], t[1], weights(t[2]));
        return at::cat({n.y, n.sum}, -1);
      },
      [](const Tensors& t) {
        const at::Tensor sum = t[0] + t[1];
        return at::cat({plain_norm(sum, t[2]), sum}, -1);
      },
      in);
}

TEST_P(Elementwise, qk_norm_rope_norms_each_head_then_rotates) {
  const at::Tensor angle = random("angle", {6, 8});
  expect_as_good_as(
      [&](const Tensors& t) {
        return qk_norm_rope(t[0], {t[1], {}}, kEps, angle.cos().to(t[0].scalar_type()),
                            angle.sin().to(t[0].scalar_type()));
      },
      [&](const Tensors& t) {
        return plain_rope(plain_norm(t[0], t[1]), angle.cos().to(t[0].scalar_type()),
                          angle.sin().to(t[0].scalar_type()));
      },
      {random("x", {6, 3, 16}, GetParam()), random("w", {16}, GetParam())});
}

// freeze_modules may name a single tensor.
TEST(LayerNorm, trains_a_bias_beside_a_frozen_weight_and_the_other_way_round) {
  for (const bool weight_trains : {false, true}) {
    const at::Tensor x = random("x", {5, 8}), w = random("w", {8}), b = random("b", {8});
    (weight_trains ? w : b).set_requires_grad(true);
    norm(x, {{w, {}}, {b, {}}, kEps}).sum().backward();
    EXPECT_EQ(w.grad().defined(), weight_trains);
    ASSERT_EQ(b.grad().defined(), !weight_trains);
    if (weight_trains) continue;
    EXPECT_EQ((b.grad() - 5.0).abs().max().item<double>(), 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Elementwise, ::testing::Values(at::kFloat, at::kBFloat16));

}  // namespace
}  // namespace lmms::kernels
