#include "kernels/linear/linear_testing.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/linear/linear.h"
#include "kernels/norm/norm.h"
#include "kernels/op_testing.h"

namespace lmms::kernels::testing {

void expect_gradients_in_slots(const LinearCase& c, at::ScalarType dtype, at::Device device) {
  for (const at::ScalarType slot : {at::kFloat, at::kBFloat16}) {
    if (dtype == at::kFloat && slot == at::kBFloat16) continue;  // no run has these
    const auto leaf = [&](const char* name, at::IntArrayRef shape) {
      return random(name, shape, dtype).to(device).set_requires_grad(true);
    };
    const at::Tensor x = random("x", {c.T, c.K}, dtype).to(device), w = leaf("w", {c.K}),
                     W = leaf("W", {c.N, c.K}), b = leaf("b", {c.N});
    const auto run = [&](const Weight& norm_weight, const Weight& weight, const Weight& bias) {
      const Normed n = add_norm(x, {}, {norm_weight, {}, 1e-6});
      return linear(n.y, {weight, bias}, n.recompute).to(at::kFloat).sum();
    };
    const Tensors expected = torch::autograd::grad({run({w, {}}, {W, {}}, {b, {}})}, {w, W, b}, {});
    const auto options = at::TensorOptions().dtype(slot).device(device);
    const Tensors slots{at::zeros({c.K}, options), at::zeros({c.N, c.K}, options),
                        at::zeros({c.N}, options)};
    for (int i = 0; i < 2; ++i) {  // gradients add up
      torch::autograd::backward({run({w, slots[0]}, {W, slots[1]}, {b, slots[2]})}, {});
    }
    const Tensors leaves{w, W, b};
    for (size_t i = 0; i < slots.size(); ++i) {
      EXPECT_LE(relative_error(slots[i].to(at::kCPU), expected[i].to(at::kCPU) * 2), 8e-3) << i;
      EXPECT_FALSE(leaves[i].grad().defined()) << i;
    }
  }
}

}  // namespace lmms::kernels::testing
