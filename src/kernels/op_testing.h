#pragma once
/// For kernel tests: one way to compare an op with its plain meaning, forward and backward.
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace lmms::kernels::testing {

using Tensors = std::vector<at::Tensor>;
using Op = std::function<at::Tensor(const Tensors&)>;

/// A tensor of uniform numbers in (-1, 1) that depends on `name` alone.
at::Tensor random(const std::string& name, at::IntArrayRef shape,
                  at::ScalarType dtype = at::kFloat);

/// `op` computed on `device`: takes its inputs from the host, and gives its result back to it.
Op on(at::Device device, const Op& op);

/// The op's value and the gradients of sum(value * d) for every input, with a fixed random d.
struct Outcome {
  at::Tensor value;
  Tensors gradients;
};
Outcome run(const Op& op, const Tensors& inputs);

/// ||a - b|| / ||b|| in fp64; 0 where both are empty.
double relative_error(const at::Tensor& a, const at::Tensor& b);

/// Judges `op` against `plain`: both are run, and `plain` also on the inputs widened to fp64. For
/// value and gradients the op's error against fp64 may be at most twice that of the plain
/// composition in the same dtype (plus one rounding of the dtype).
void expect_as_good_as(const Op& op, const Op& plain, const Tensors& inputs, int roundings = 1);

}  // namespace lmms::kernels::testing
