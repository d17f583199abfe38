// What CUDA computes against the CPU's meaning of the same ops.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/util/BFloat16.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "kernels/adamw/adamw.h"
#include "kernels/attention/attention.h"
#include "kernels/device.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;
using testing::relative_error;

class Cuda : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!best_device(0).is_cuda()) GTEST_SKIP() << "no CUDA device";
    use_own_stream(best_device(0));
  }
};

struct Problem {
  at::Tensor p, m, v, g, bf16;
};

Problem problem(int64_t n, at::ScalarType gradient, at::Device device) {
  return {random("p", {n}).to(device), random("m", {n}).to(device),
          (random("v", {n}).abs()).to(device), (random("g", {n}) * 3.0).to(gradient).to(device),
          at::zeros({n}, at::kBFloat16).to(device)};
}

AdamwRange range_of(const Problem& x) {
  return {x.p.mutable_data_ptr<float>(),
          x.m.mutable_data_ptr<float>(),
          x.v.mutable_data_ptr<float>(),
          x.g.const_data_ptr(),
          x.bf16.mutable_data_ptr(),
          x.g.scalar_type() == at::kBFloat16 ? GradientType::bf16 : GradientType::f32,
          0.1f,
          x.p.numel()};
}

AdamwControl settings() {
  AdamwControl c;
  c.learning_rates[0] = 1e-2;
  c.max_norm = 1.0;
  return c;
}

TEST_F(Cuda, adamw_updates_as_the_cpu_does) {
  for (const at::ScalarType gradient : {at::kFloat, at::kBFloat16}) {
    for (const int64_t n : {int64_t{1}, int64_t{1000}, int64_t{16385}, int64_t{3000017}}) {
      const Problem host = problem(n, gradient, at::kCPU), device = problem(n, gradient, at::kCUDA);
      AdamwControl c = settings();
      at::Tensor control = at::empty({static_cast<int64_t>(sizeof(c))}, at::kByte);
      std::memcpy(control.mutable_data_ptr(), &c, sizeof(c));
      control = control.to(at::kCUDA);
      const int64_t blocks = norm_blocks(n);
      const at::Tensor partials = at::zeros({blocks}, at::kDouble),
                       on_device = partials.to(at::kCUDA);

      const AdamwRange h = range_of(host), d = range_of(device);
      sum_of_squares_cpu(h.gradient, h.gradient_type, n, partials.mutable_data_ptr<double>());
      adamw_decide_cpu(c, partials.const_data_ptr<double>(), blocks);
      adamw_update_cpu(c, h);
      auto* dc = static_cast<AdamwControl*>(control.mutable_data_ptr());
      sum_of_squares_cuda(d.gradient, d.gradient_type, n, on_device.mutable_data_ptr<double>(),
                          current_stream());
      adamw_decide_cuda(dc, on_device.const_data_ptr<double>(), blocks, current_stream());
      adamw_update_cuda(dc, d, current_stream());
      check_last_launch("AdamW");
      synchronize(at::Device(at::kCUDA, 0));

      AdamwControl back;
      const at::Tensor copied = control.to(at::kCPU);
      std::memcpy(&back, copied.const_data_ptr(), sizeof(back));
      EXPECT_NEAR(back.norm, c.norm, 1e-12 * c.norm);
      EXPECT_EQ(back.applied, 1);
      EXPECT_LE(relative_error(device.p.cpu(), host.p), 1e-6);
      EXPECT_LE(relative_error(device.m.cpu(), host.m), 1e-6);
      EXPECT_LE(relative_error(device.v.cpu(), host.v), 1e-6);
      EXPECT_TRUE(device.bf16.cpu().equal(device.p.cpu().to(at::kBFloat16)));
    }
  }
}

TEST_F(Cuda, adamw_skips_a_step_that_is_not_finite) {
  const Problem x = problem(1000, at::kFloat, at::kCUDA);
  const at::Tensor before = x.p.clone();
  x.g.select(0, 500).fill_(std::numeric_limits<float>::quiet_NaN());
  AdamwControl c = settings();
  at::Tensor control = at::empty({static_cast<int64_t>(sizeof(c))}, at::kByte);
  std::memcpy(control.mutable_data_ptr(), &c, sizeof(c));
  control = control.to(at::kCUDA);
  const at::Tensor partials = at::zeros({1}, at::kDouble).to(at::kCUDA);
  auto* dc = static_cast<AdamwControl*>(control.mutable_data_ptr());
  const AdamwRange r = range_of(x);
  sum_of_squares_cuda(r.gradient, r.gradient_type, 1000, partials.mutable_data_ptr<double>(),
                      current_stream());
  adamw_decide_cuda(dc, partials.const_data_ptr<double>(), 1, current_stream());
  adamw_update_cuda(dc, r, current_stream());
  EXPECT_TRUE(x.p.equal(before));
}

TEST_F(Cuda, flash_attention_is_as_good_as_the_segments_one_by_one) {
  for (const int64_t window : {int64_t{0}, int64_t{16}}) {
    AttentionPlan plan;
    plan.lengths = {33, 1, 130, 64};
    plan.max_length = 130;
    std::vector<int32_t> cu{0, 33, 34, 164, 228};
    plan.cu_seqlens = at::tensor(cu, at::kInt).to(at::kCUDA);
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
TEST_F(Cuda, flash_attention_both_ways_is_as_good_as_the_segments_one_by_one) {
  AttentionPlan plan;
  plan.lengths = {64, 64, 16, 1, 130};
  plan.max_length = 130;
  plan.cu_seqlens =
      at::tensor(std::vector<int32_t>{0, 64, 128, 144, 145, 275}, at::kInt).to(at::kCUDA);
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
