#include <ATen/TensorOperators.h>

#include <cmath>

#include "kernels/gpu_testing.h"
#include "kernels/op_testing.h"
#include "kernels/qkv_attention/qkv_attention.h"
#include "kernels/qkv_attention/qkv_attention_cases.h"

namespace lmms::kernels {
namespace {

using testing::QkvAttentionCase;
using testing::random;
using testing::Tensors;

class QkvAttentionOnGpu
    : public testing::GpuTestWith<std::tuple<QkvAttentionCase, at::ScalarType>> {};

TEST_P(QkvAttentionOnGpu, matches_its_plain_form) {
  const QkvAttentionCase& c = std::get<0>(GetParam());
  const at::ScalarType dtype = std::get<1>(GetParam());
  int64_t T = 0;
  for (int64_t n : c.lengths) T += n;
  const int64_t D = c.head_dim;
  const at::Tensor angle = random("angle", {T, D / 2}) * 7.0;
  const auto run = [&](const Tensors& t, bool keep, Form form) {
    QkvAttention how;
    how.norm_rope = {c.heads, c.kv_heads, D, {}, {}, 1e-6, {}, {}};
    if (c.norm) {
      how.norm_rope.q_norm = {t[1], {}};
      how.norm_rope.k_norm = {t[2], {}};
    }
    if (c.rotates) {
      how.norm_rope.cos = angle.cos().to(t[0].device());
      how.norm_rope.sin = angle.sin().to(t[0].device());
    }
    how.shape = {0, 1 / std::sqrt(static_cast<double>(D))};
    how.keep_rotated = keep;
    how.form = form;
    return qkv_attention(t[0] * 1.0, attention_plan(c.lengths, t[0].device(), c.mode), how);
  };
  Tensors in{random("qkv", {T, (c.heads + 2 * c.kv_heads) * D}, dtype)};
  if (c.norm) {
    in.push_back(random("q_norm", {D}, dtype) + 2.0);
    in.push_back(random("k_norm", {D}, dtype) + 2.0);
  }
  for (const bool keep : {false, true}) {
    testing::expect_as_good_as(
        testing::on(at::kCUDA, [&](const Tensors& t) { return run(t, keep, Form::fused); }),
        [&](const Tensors& t) { return run(t, keep, Form::plain); }, in, /*roundings=*/2);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, QkvAttentionOnGpu,
                         ::testing::Combine(::testing::ValuesIn(testing::qkv_attention_cases()),
                                            ::testing::Values(at::kFloat, at::kBFloat16)));

}  // namespace
}  // namespace lmms::kernels
