#include "kernels/op_testing.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <c10/util/BFloat16.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>

#include "core/rng.h"

namespace lmms::kernels::testing {

at::Tensor random(const std::string& name, at::IntArrayRef shape, at::ScalarType dtype) {
  at::Tensor t = at::empty(shape, at::kFloat);
  auto* out = t.mutable_data_ptr<float>();
  const uint64_t stream = rng::hash(name);
  for (int64_t i = 0; i < t.numel(); ++i) {
    const auto word = rng::philox({static_cast<uint32_t>(i), 0, static_cast<uint32_t>(stream),
                                   static_cast<uint32_t>(stream >> 32)},
                                  {7, 7});
    out[i] = static_cast<float>(2.0 * rng::unit(word[0]) - 1.0);
  }
  return t.to(dtype);
}

Op on(at::Device device, const Op& op) {
  return [device, op](const Tensors& host) {
    Tensors moved;
    for (const at::Tensor& t : host) moved.push_back(t.to(device));
    return op(moved).to(at::kCPU);
  };
}

Outcome run(const Op& op, const Tensors& inputs) {
  Tensors leaves;
  Tensors wanted;
  for (const at::Tensor& t : inputs) {
    at::Tensor leaf = t.detach().clone();
    if (leaf.is_floating_point()) wanted.push_back(leaf.set_requires_grad(true));
    leaves.push_back(leaf);
  }
  const at::Tensor value = op(leaves);
  const at::Tensor d = random("d", value.sizes()).to(value.options());
  Tensors gradients =
      torch::autograd::grad({value}, wanted, {d}, std::nullopt, false, /*allow_unused=*/true);
  return {value.detach(), gradients};
}

double relative_error(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor wide = b.to(at::kDouble);
  const double scale = wide.norm().item<double>(),
               distance = (a.to(at::kDouble) - wide).norm().item<double>();
  return scale == 0 ? distance : distance / scale;
}

void expect_as_good_as(const Op& op, const Op& plain, const Tensors& inputs, int roundings) {
  Tensors wide;
  double rounding = std::numeric_limits<float>::epsilon();
  for (const at::Tensor& t : inputs) {
    wide.push_back(t.is_floating_point() ? t.to(at::kDouble) : t);
    if (t.scalar_type() == at::kBFloat16) rounding = std::numeric_limits<c10::BFloat16>::epsilon();
  }
  rounding *= roundings;
  const Outcome ours = run(op, inputs), theirs = run(plain, inputs), exact = run(plain, wide);
  EXPECT_LE(relative_error(ours.value, exact.value),
            2 * relative_error(theirs.value, exact.value) + rounding);
  ASSERT_EQ(ours.gradients.size(), exact.gradients.size());
  for (size_t i = 0; i < exact.gradients.size(); ++i) {
    ASSERT_EQ(ours.gradients[i].defined(), exact.gradients[i].defined()) << "gradient " << i;
    if (!exact.gradients[i].defined()) continue;
    EXPECT_LE(relative_error(ours.gradients[i], exact.gradients[i]),
              2 * relative_error(theirs.gradients[i], exact.gradients[i]) + rounding)
        << "gradient " << i;
  }
}

}  // namespace lmms::kernels::testing
