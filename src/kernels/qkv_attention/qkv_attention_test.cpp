#include "kernels/qkv_attention/qkv_attention.h"

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/norm/norm_cases.h"
#include "kernels/op_testing.h"
#include "kernels/qkv_attention/qkv_attention_cases.h"
#include "kernels/rope/rope_cases.h"

namespace lmms::kernels {
namespace {

using testing::QkvAttentionCase;
using testing::random;
using testing::Tensors;

class QkvAttentionOnCpu
    : public ::testing::TestWithParam<std::tuple<QkvAttentionCase, at::ScalarType>> {};

TEST_P(QkvAttentionOnCpu, is_attention_over_normed_and_rotated_heads) {
  const QkvAttentionCase& c = std::get<0>(GetParam());
  const at::ScalarType dtype = std::get<1>(GetParam());
  int64_t T = 0;
  for (const int64_t n : c.lengths) T += n;
  const int64_t D = c.head_dim;
  const at::Tensor angle = random("angle", {T, D / 2}) * 7.0;
  const AttentionPlan plan = attention_plan(c.lengths, at::kCPU, c.mode);
  const AttentionShape shape{0, 1 / std::sqrt(static_cast<double>(D))};
  const auto composed = [&](const Tensors& t) {
    const auto heads = [&](int64_t first, int64_t count) {
      return t[0].narrow(1, first * D, count * D).reshape({T, count, D});
    };
    const auto treated = [&](at::Tensor x, size_t norm) {
      if (c.norm) x = testing::plain_rms_norm(x, t[norm]);
      const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
      if (!c.rotates) return x;
      return testing::plain_rope(x.to(wide), angle.cos().to(wide), angle.sin().to(wide))
          .to(x.scalar_type());
    };
    const at::Tensor seen =
        attention(treated(heads(0, c.heads), 1), treated(heads(c.heads, c.kv_heads), 2),
                  heads(c.heads + c.kv_heads, c.kv_heads), plan, shape);
    return seen.reshape({T, c.heads * D});
  };
  Tensors in{random("qkv", {T, (c.heads + 2 * c.kv_heads) * D}, dtype)};
  if (c.norm) {
    in.push_back(random("q_norm", {D}, dtype) + 2.0);
    in.push_back(random("k_norm", {D}, dtype) + 2.0);
  }
  for (const Form form : {Form::fused, Form::plain}) {
    const auto op = [&](const Tensors& t) {
      QkvAttention how;
      how.norm_rope = {c.heads, c.kv_heads, D, {}, {}, testing::kNormEps, {}, {}};
      if (c.norm) {
        how.norm_rope.q_norm = {t[1], {}};
        how.norm_rope.k_norm = {t[2], {}};
      }
      if (c.rotates) {
        how.norm_rope.cos = angle.cos();
        how.norm_rope.sin = angle.sin();
      }
      how.shape = shape;
      how.form = form;
      return qkv_attention(t[0] * 1.0, plan, how);
    };
    testing::expect_as_good_as(op, composed, in, /*roundings=*/2);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, QkvAttentionOnCpu,
                         ::testing::Combine(::testing::ValuesIn(testing::qkv_attention_cases()),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

}  // namespace
}  // namespace lmms::kernels
