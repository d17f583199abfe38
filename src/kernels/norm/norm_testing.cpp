#include "kernels/norm/norm_testing.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/layer_norm.h>

#include "kernels/norm/norm.h"
#include "kernels/op_testing.h"

namespace lmms::kernels::testing {

void expect_norms_match(const NormCase& c, at::ScalarType dtype, at::Device device) {
  const at::Tensor x = random("x", {c.T, c.D}, dtype), r = random("r", {c.T, c.D}, dtype),
                   w = random("w", {c.D}, dtype), b = random("b", {c.D}, dtype);
  const auto both = [](const Normed& n) { return at::cat({n.y, n.sum}, -1); };
  expect_as_good_as(on(device,
                       [](const Tensors& t) {
                         return norm(t[0], {{t[1], {}}, {}, kNormEps});
                       }),
                    [](const Tensors& t) { return plain_rms_norm(t[0], t[1]); }, {x, w});
  expect_as_good_as(on(device,
                       [&](const Tensors& t) {
                         return both(add_norm(t[0], t[1], {{t[2], {}}, {}, kNormEps}));
                       }),
                    [](const Tensors& t) {
                      const at::Tensor sum = t[0] + t[1];
                      return at::cat({plain_rms_norm(sum, t[2]), sum}, -1);
                    },
                    {x, r, w});
  expect_as_good_as(on(device,
                       [&](const Tensors& t) {
                         return both(add_norm(t[0], t[1], {{t[2], {}}, {t[3], {}}, kNormEps}));
                       }),
                    [&](const Tensors& t) {
                      const at::Tensor sum = t[0] + t[1];
                      return at::cat({at::layer_norm(sum, {c.D}, t[2], t[3], kNormEps), sum}, -1);
                    },
                    {x, r, w, b});
  expect_as_good_as(on(device,
                       [&](const Tensors& t) {
                         return both(add_norm(t[0], {}, {{t[1], {}}, {}, kNormEps}));
                       }),
                    [](const Tensors& t) {
                      return at::cat({plain_rms_norm(t[0], t[1]), t[0]}, -1);
                    },
                    {x, w});
}

}  // namespace lmms::kernels::testing
