#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <type_traits>

#include "core/rng.h"
#include "kernels/adamw/adamw.h"
#include "kernels/device.h"
#include "kernels/gpu_testing.h"
#include "kernels/op_testing.h"
#include "kernels/rows_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;
using testing::rows;
using testing::uploaded;

using AdamwCuda = testing::GpuTest;

// Flat memory of all ranges, on one device.
struct Problem {
  at::Tensor p, m, v, g, bf16;
};

Stored stored(const at::Tensor& t) {
  return t.scalar_type() == at::kBFloat16 ? Stored::bf16 : Stored::f32;
}

Problem problem(int64_t n, at::ScalarType state, at::ScalarType gradient, at::Device device) {
  return {random("p", {n}).to(state).to(device), random("m", {n}).to(state).to(device),
          (random("v", {n}).abs()).to(state).to(device),
          (random("g", {n}) * 3.0).to(gradient).to(device),
          at::zeros({n}, at::kBFloat16).to(device)};
}

void* at_element(const at::Tensor& t, int64_t i) {
  return static_cast<char*>(t.mutable_data_ptr()) + i * static_cast<int64_t>(t.element_size());
}

// One range behind the other, of these lengths.
std::vector<AdamwRange> ranges(const Problem& x, const std::vector<int64_t>& lengths) {
  std::vector<AdamwRange> out;
  int64_t at = 0;
  for (int64_t length : lengths) {
    AdamwRange r{at_element(x.p, at),
                 at_element(x.m, at),
                 at_element(x.v, at),
                 at_element(x.g, at),
                 nullptr,
                 stored(x.g),
                 0.1,
                 length};
    r.state = stored(x.p);
    if (r.state == Stored::f32) r.bf16_weights = at_element(x.bf16, at);
    r.first = at;
    out.push_back(r);
    at += length;
  }
  return out;
}

AdamwStep settings(double beta1 = 0.9, double beta2 = 0.999) {
  AdamwStep s;
  s.learning_rates[0] = 1e-2;
  s.beta1 = beta1;
  s.beta2 = beta2;
  const rng::Key key = rng::key(42, rng::Purpose::rounding);
  s.rounding_key[0] = key[0];
  s.rounding_key[1] = key[1];
  return s;
}

/// Of the t-th update.
StepControl decided(double sum_of_squares, int64_t t = 1) {
  StepControl c;
  c.max_norm = 1.0;
  c.applied = t - 1;
  step_decide(c, sum_of_squares);
  return c;
}

at::Tensor bits(const at::Tensor& t) {
  return t.cpu().view(t.element_size() == 2 ? at::kShort : at::kInt);
}

TEST_F(AdamwCuda, updates_to_the_bits_of_the_cpu) {
  // the second range begins where no 16-byte access can
  const std::vector<std::vector<int64_t>> cases{
      {1}, {1000}, {16385}, {8191, 13, 70000}, {3000017, 256}};
  for (const at::ScalarType state : {at::kFloat, at::kBFloat16}) {
    for (const at::ScalarType gradient : {at::kFloat, at::kBFloat16}) {
      for (const std::vector<int64_t>& lengths : cases) {
        int64_t n = 0;
        for (int64_t length : lengths) n += length;
        const Problem host = problem(n, state, gradient, at::kCPU),
                      device = problem(n, state, gradient, at::Device(at::kCUDA, 0));
        // both ends that the first moment can come from
        AdamwStep s = lengths.size() % 2 == 1 ? settings() : settings(0.3, 0.99999);
        const StepControl c = decided(4.0);
        adamw_prepare(s, c);
        for (const AdamwRange& r : ranges(host, lengths))
          adamw_update_cpu(c, s, r, GradientSlots::zeroed);
        const at::Tensor control = uploaded(std::vector<StepControl>{c}),
                         step = uploaded(std::vector<AdamwStep>{s}),
                         table = uploaded(ranges(device, lengths));
        const auto tiles = tiles_of(lengths, kAdamwTile);
        const at::Tensor tile_table = uploaded(tiles);
        adamw_update_cuda(rows<StepControl>(control), rows<AdamwStep>(step),
                          rows<AdamwRange>(table), rows<Tile>(tile_table),
                          static_cast<int64_t>(tiles.size()), GradientSlots::zeroed,
                          current_stream());
        check_last_launch("AdamW");
        EXPECT_TRUE(bits(device.p).equal(bits(host.p))) << n;
        EXPECT_TRUE(bits(device.m).equal(bits(host.m))) << n;
        EXPECT_TRUE(bits(device.v).equal(bits(host.v))) << n;
        EXPECT_TRUE(bits(device.bf16).equal(bits(host.bf16))) << n;
        EXPECT_EQ(device.g.abs().max().item<float>(), 0.0f) << n;
      }
    }
  }
}

TEST_F(AdamwCuda, prepares_what_the_cpu_does) {
  AdamwStep s = settings();
  const StepControl c = decided(4.0, 17);
  const at::Tensor control = uploaded(std::vector<StepControl>{c}),
                   step = uploaded(std::vector<AdamwStep>{s});
  adamw_prepare_cuda(rows<AdamwStep>(step), rows<StepControl>(control), current_stream());
  check_last_launch("AdamW");
  adamw_prepare(s, c);
  AdamwStep back;
  const at::Tensor copied = step.cpu();
  std::memcpy(&back, copied.const_data_ptr(), sizeof(back));
  EXPECT_EQ(back.factors.clip, s.factors.clip);
  EXPECT_EQ(back.factors.first_share, s.factors.first_share);
  EXPECT_EQ(back.factors.second_share, s.factors.second_share);
  EXPECT_FLOAT_EQ(back.factors.correction, s.factors.correction);
  EXPECT_FLOAT_EQ(back.step_sizes[0], s.step_sizes[0]);
}

TEST_F(AdamwCuda, skips_a_step_that_is_not_finite_and_still_zeroes_the_gradient) {
  const Problem x = problem(1000, at::kFloat, at::kFloat, at::Device(at::kCUDA, 0));
  const at::Tensor before = x.p.clone();
  const at::Tensor control = uploaded(
                       std::vector<StepControl>{decided(std::numeric_limits<double>::quiet_NaN())}),
                   step = uploaded(std::vector<AdamwStep>{settings()}),
                   table = uploaded(ranges(x, {1000})),
                   tiles = uploaded(tiles_of(std::vector<int64_t>{1000}, kAdamwTile));
  for (const GradientSlots slots : {GradientSlots::left, GradientSlots::zeroed}) {
    adamw_update_cuda(rows<StepControl>(control), rows<AdamwStep>(step), rows<AdamwRange>(table),
                      rows<Tile>(tiles), 1, slots, current_stream());
    EXPECT_TRUE(x.p.equal(before));
    EXPECT_EQ(x.g.abs().max().item<float>() == 0.0f, slots == GradientSlots::zeroed);
  }
}

}  // namespace
}  // namespace lmms::kernels
