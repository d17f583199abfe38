#include "kernels/activation/activation_testing.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>

#include "kernels/op_testing.h"

namespace lmms::kernels::testing {

void expect_activations_match(const ActivationCase& c, at::ScalarType dtype, at::Device device) {
  constexpr int64_t kOutputs = 40;  // of the product
  const at::Tensor gate_up = random("gate_up", {c.T, 2 * c.I}, dtype) * 4.0;
  const auto plain_glu = [I = c.I](const at::Tensor& u) {
    return at::silu(u.narrow(-1, 0, I)) * u.narrow(-1, I, I);
  };
  expect_as_good_as(
      on(device, [](const Tensors& t) { return activation(t[0], Activation::silu_glu); }),
      [&](const Tensors& t) { return plain_glu(t[0]); }, {gate_up});
  for (const auto& [kind, name] :
       {std::pair{Activation::gelu_tanh, "tanh"}, std::pair{Activation::gelu_erf, "none"}}) {
    expect_as_good_as(on(device, [k = kind](const Tensors& t) { return activation(t[0], k); }),
                      [n = name](const Tensors& t) { return at::gelu(t[0], n); },
                      {random("u", {c.T, c.I}, dtype) * 4.0});
  }
  expect_as_good_as(
      on(device,
         [](const Tensors& t) {
           return activation_linear(t[0], Activation::silu_glu, {{t[1], {}}, {t[2], {}}});
         }),
      [&](const Tensors& t) { return at::linear(plain_glu(t[0]), t[1], t[2]); },
      {gate_up, random("W", {kOutputs, c.I}, dtype), random("b", {kOutputs}, dtype)},
      /*roundings=*/2);
}

}  // namespace lmms::kernels::testing
