#include "kernels/modulation/modulation_testing.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "kernels/modulation/modulation.h"
#include "kernels/op_testing.h"

namespace lmms::kernels::testing {
namespace {

constexpr double kEps = 1e-6;

// The definition, as ATen composes it.
struct Plain {
  at::Tensor row_of_token;  // [T] int64; S: none
  int64_t D;

  explicit Plain(const ModulationCase& c)
      : row_of_token(at::empty({c.tokens()}, at::kLong)), D(c.D) {
    auto* out = row_of_token.mutable_data_ptr<int64_t>();
    const int64_t S = c.rows();
    for (int64_t s = 0; s < S; ++s) out = std::fill_n(out, c.lengths[static_cast<size_t>(s)], s);
    std::fill_n(out, c.pad, S);
  }
  at::Tensor of_tokens(const at::Tensor& rows) const {
    const at::Tensor none = at::zeros({1, D}, rows.options());
    return at::cat({rows, none}).index_select(0, row_of_token);
  }
  at::Tensor sum(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& gate) const {
    return (x + of_tokens(gate) * delta).to(x.scalar_type());
  }
  at::Tensor norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) const {
    const at::Tensor n = at::layer_norm(x.to(shift.scalar_type()), {D}, {}, {}, kEps);
    return (n * (1 + of_tokens(scale)) + of_tokens(shift)).to(x.scalar_type());
  }
};

at::Tensor both(const Normed& n) {
  return at::cat({n.y, n.sum}, -1);
}

}  // namespace

void expect_modulation_matches(const ModulationCase& c, at::ScalarType dtype, at::Device device) {
  const int64_t T = c.tokens(), S = c.rows();
  const at::Tensor x = random("x", {T, c.D}, dtype), delta = random("delta", {T, c.D}, dtype),
                   gate = random("gate", {S, c.D}), shift = random("shift", {S, c.D}),
                   scale = random("scale", {S, c.D});
  const TokenRows rows = c.token_rows(device);
  const Plain plain(c);
  expect_as_good_as(on(device,
                       [&](const Tensors& t) {
                         return both(modulated_norm(t[0], t[1], t[2], {t[3], t[4], rows, kEps}));
                       }),
                    [&](const Tensors& t) {
                      const at::Tensor sum = plain.sum(t[0], t[1], t[2]);
                      return at::cat({plain.norm(sum, t[3], t[4]), sum}, -1);
                    },
                    {x, delta, gate, shift, scale});
  expect_as_good_as(on(device,
                       [&](const Tensors& t) {
                         return modulated_norm(t[0], {}, {}, {t[1], t[2], rows, kEps}).y;
                       }),
                    [&](const Tensors& t) { return plain.norm(t[0], t[1], t[2]); },
                    {x, shift, scale});
  expect_as_good_as(on(device,
                       [&](const Tensors& t) {
                         return both(modulated_norm(t[0], {}, {}, {t[1], t[2], rows, kEps}));
                       }),
                    [&](const Tensors& t) {
                      return at::cat({plain.norm(t[0], t[1], t[2]), t[0]}, -1);
                    },
                    {x, shift, scale});
  expect_as_good_as(on(device, [&](const Tensors& t) { return gated_sum(t[0], t[1], t[2], rows); }),
                    [&](const Tensors& t) { return plain.sum(t[0], t[1], t[2]); },
                    {x, delta, gate});
}

}  // namespace lmms::kernels::testing
