// What CUDA computes against the CPU's meaning of the same ops.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <c10/util/BFloat16.h>
#include <gtest/gtest.h>

#include <limits>

#include "kernels/attention/attention.h"
#include "kernels/device.h"
#include "kernels/gpu_testing.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;
using testing::relative_error;

using Cuda = testing::GpuTest;

TEST_F(Cuda, flash_attention_is_as_good_as_the_segments_one_by_one) {
  for (const int64_t window : {int64_t{0}, int64_t{16}}) {
    const AttentionPlan plan = attention_plan({33, 1, 130, 64}, at::kCUDA);
    const auto make = [](const char* name, int64_t heads, at::ScalarType dtype) {
      return (random(name, {228, heads, 64}) * 2.0).to(at::kBFloat16).to(dtype).to(at::kCUDA);
    };
    const auto attend = [&](const testing::Tensors& t) {
      return causal_attention(t[0], t[1], t[2], plan, 0.125, window);
    };
    const auto flash = testing::run(
        attend,
        {make("q", 4, at::kBFloat16), make("k", 2, at::kBFloat16), make("v", 2, at::kBFloat16)});
    const auto exact = testing::run(
        attend, {make("q", 4, at::kFloat), make("k", 2, at::kFloat), make("v", 2, at::kFloat)});
    const double rounding = std::numeric_limits<c10::BFloat16>::epsilon();
    EXPECT_LE(relative_error(flash.value, exact.value), rounding);
    for (size_t i = 0; i < 3; ++i)
      EXPECT_LE(relative_error(flash.gradients[i], exact.gradients[i]), 3 * rounding) << i;
  }
}

// Windows and frames of a vision tower, at its head size.
TEST_F(Cuda, attention_both_ways_is_as_good_as_the_segments_one_by_one) {
  const AttentionPlan plan = attention_plan({64, 64, 16, 1, 130}, at::kCUDA);
  for (const int64_t D : {int64_t{80}, int64_t{72}}) {
    const auto make = [&](const char* name, at::ScalarType dtype) {
      return (random(name, {275, 4, D}) * 2.0).to(at::kBFloat16).to(dtype).to(at::kCUDA);
    };
    const auto attend = [&](const testing::Tensors& t) {
      return segment_attention(t[0], t[1], t[2], plan, 0.11);
    };
    const auto all = [&](at::ScalarType type) {
      return testing::run(attend, {make("q", type), make("k", type), make("v", type)});
    };
    const auto flash = all(at::kBFloat16), exact = all(at::kFloat);
    const double rounding = std::numeric_limits<c10::BFloat16>::epsilon();
    EXPECT_LE(relative_error(flash.value, exact.value), rounding);
    for (size_t i = 0; i < 3; ++i)
      EXPECT_LE(relative_error(flash.gradients[i], exact.gradients[i]), 3 * rounding) << i;
  }
}

TEST_F(Cuda, cached_attention_in_bf16_is_as_good_as_the_cpus) {
  const at::Device cuda = best_device(0);
  const at::Tensor q = random("q", {3, 2, 8, 64}), keys = random("k", {3, 40, 2, 64}),
                   values = random("v", {3, 40, 2, 64});
  const at::Tensor ends =
      at::tensor({39, 7, 20}).view({3, 1, 1}) + at::tensor({-1, 0}).view({1, 2, 1});
  const at::Tensor visible = at::arange(40).view({1, 1, 40}) <= ends;  // [3, 2, 40]
  const auto run = [&](at::Device device, at::ScalarType type) {
    const auto moved = [&](const at::Tensor& x) { return x.to(device, type); };
    return cached_attention(moved(q), moved(keys), moved(values), visible.to(device), 0.125)
        .to(at::kCPU, at::kFloat);
  };
  const at::Tensor exact = run(at::kCPU, at::kFloat);
  EXPECT_LE(relative_error(run(cuda, at::kFloat), exact), 1e-5);
  EXPECT_LE(relative_error(run(cuda, at::kBFloat16), exact),
            2 * relative_error(run(at::kCPU, at::kBFloat16), exact));
}

}  // namespace
}  // namespace lmms::kernels
