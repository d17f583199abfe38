// The core's kernels against attention in fp32, segment by segment.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/tensor.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "core/format.h"
#include "kernels/attention/attention_cases.h"
#include "kernels/attention/attention_fused.h"
#include "kernels/device.h"
#include "kernels/gpu_testing.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::attention_cases;
using testing::AttentionCase;
using testing::random;
using testing::relative_error;
using testing::Tensors;

// q, k, v or their gradients, [T, N, D] each.
struct Parts {
  at::Tensor q, k, v;
};
Parts parts(const AttentionCase& c, const at::Tensor& row) {
  const int64_t T = row.size(0), D = c.head_dim, Nq = c.heads, Nkv = c.kv_heads;
  const auto part = [&](int64_t head, int64_t count) {
    const at::Tensor x = row.narrow(1, head * D, count * D).view({T, count, D});
    return c.strided ? x : x.contiguous();
  };
  return {part(0, Nq), part(Nq, Nkv), part(Nq + Nkv, Nkv)};
}

std::string lacks_cudnn_of_hopper() {
  const AttentionDevice device = attention_device(best_device(0));
  return device.compute_major == 9 && device.cudnn_version != 0
             ? ""
             : "cuDNN's kernels need a Hopper GPU";
}

class Attention : public testing::GpuTestWith<std::tuple<AttentionCase, AttentionBackend>> {
  std::string lacks() const override {
    const auto backend = std::get<1>(GetParam());
    return backend == AttentionBackend::flash2 || backend == AttentionBackend::short_segments
               ? ""
               : lacks_cudnn_of_hopper();
  }
};

void compare(const AttentionCase& c, AttentionBackend backend, const AttentionPlan& plan) {
  const int64_t T = c.queries(), width = (c.heads + 2 * c.kv_heads) * c.head_dim;
  const double scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
  const at::Device cuda = best_device(0);
  const at::Tensor row = (random(c.name, {T, width}) * 2.0).to(at::kBFloat16).to(cuda);
  const at::Tensor dout = random("dout", {T, c.heads, c.head_dim}).to(at::kBFloat16).to(cuda);
  const Parts x = parts(c, row);
  Parts g = parts(c, at::full({T, width}, std::numeric_limits<float>::quiet_NaN(),
                              row.options()));  // every element is to be written
  const AttentionShape shape{c.window, scale};
  const AttentionOutput output = attention_forward_by(backend, x.q, x.k, x.v, plan, shape);
  attention_backward_by(backend, dout, x.q, x.k, x.v, output, plan, shape, g.q, g.k, g.v);

  Tensors exact;
  for (const at::Tensor& t : {x.q, x.k, x.v})
    exact.push_back(t.to(at::kFloat).detach().contiguous().requires_grad_());
  const at::Tensor want = attention(exact[0], exact[1], exact[2], plan, shape);
  (want * dout.to(at::kFloat)).sum().backward();
  const double rounding = std::numeric_limits<c10::BFloat16>::epsilon();
  EXPECT_LE(relative_error(output.out, want), rounding);
  EXPECT_LE(relative_error(g.q, exact[0].grad()), 3 * rounding) << "dq";
  EXPECT_LE(relative_error(g.k, exact[1].grad()), 3 * rounding) << "dk";
  EXPECT_LE(relative_error(g.v, exact[2].grad()), 3 * rounding) << "dv";
}

TEST_P(Attention, is_as_good_as_the_segments_one_by_one_in_fp32) {
  const auto& [c, backend] = GetParam();
  compare(c, backend, attention_plan(c.segments, best_device(0)));
}

std::string name_of(
    const ::testing::TestParamInfo<std::tuple<AttentionCase, AttentionBackend>>& info) {
  const auto& [c, backend] = info.param;
  return fmt::format("{}_{}", c.name, short_name(backend));
}

constexpr std::pair<unsigned, AttentionBackend> kBackends[] = {
    {testing::kByFlash2, AttentionBackend::flash2},
    {testing::kByCudnn, AttentionBackend::cudnn},
    {testing::kByCudnnDense, AttentionBackend::cudnn_dense},
    {testing::kByHopper, AttentionBackend::hopper},
    {testing::kByShort, AttentionBackend::short_segments},
};
std::vector<std::tuple<AttentionCase, AttentionBackend>> by_backend() {
  std::vector<std::tuple<AttentionCase, AttentionBackend>> out;
  for (const auto& [use, backend] : kBackends)
    for (const AttentionCase& c : attention_cases(use)) out.emplace_back(c, backend);
  return out;
}
INSTANTIATE_TEST_SUITE_P(Cases, Attention, ::testing::ValuesIn(by_backend()), name_of);

// By whatever is taken for the plan, and what no fused kernel takes.
class AttentionByRule : public testing::GpuTestWith<AttentionCase> {};

TEST_P(AttentionByRule, is_as_good_in_bf16_as_in_fp32) {
  const AttentionCase& c = GetParam();
  const AttentionPlan plan = attention_plan(c.segments, best_device(0));
  const AttentionShape shape{c.window, 1 / std::sqrt(static_cast<double>(c.head_dim))};
  const auto attend = [&](const Tensors& t) { return attention(t[0], t[1], t[2], plan, shape); };
  const auto inputs = [&](at::ScalarType dtype) {
    const auto make = [&](const char* name, int64_t tokens, int64_t heads) {
      const at::Tensor x = (random(name, {tokens, heads, c.head_dim}) * 2.0).to(at::kBFloat16);
      return x.to(dtype).to(best_device(0));
    };
    return Tensors{make("q", c.queries(), c.heads), make("k", c.keys(), c.kv_heads),
                   make("v", c.keys(), c.kv_heads)};
  };
  const auto ours = testing::run(attend, inputs(at::kBFloat16)),
             exact = testing::run(attend, inputs(at::kFloat));
  const double rounding = std::numeric_limits<c10::BFloat16>::epsilon();
  EXPECT_LE(relative_error(ours.value, exact.value), rounding);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_LE(relative_error(ours.gradients[i], exact.gradients[i]), 3 * rounding) << i;
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionByRule,
                         ::testing::ValuesIn(attention_cases(testing::kOnGpu)),
                         [](const auto& info) { return info.param.name; });

enum class Stat { current, peak };
int64_t allocated(Stat stat) {
  const auto stats =
      c10::cuda::CUDACachingAllocator::getDeviceStats(best_device(0).index())
          .allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
  return stat == Stat::current ? stats.current : stats.peak;
}

using AttentionCore = testing::GpuTest;
class AttentionOnHopper : public testing::GpuTest {
  std::string lacks() const override { return lacks_cudnn_of_hopper(); }
};

// One graph serves every batch that fits its capacity.
TEST_F(AttentionOnHopper, serves_other_lengths_of_the_same_capacity) {
  const AttentionCapacity capacity{8, 256};
  for (const auto& lengths : std::vector<std::vector<int64_t>>{
           {256, 256, 1}, {3, 5, 7, 11, 13, 17, 19, 23}, {100}, {0, 255, 0, 254}}) {
    for (const auto backend : {AttentionBackend::cudnn, AttentionBackend::hopper})
      compare({"reused", separate_segments(lengths), 4, 2, 128, testing::kOnGpu}, backend,
              attention_plan(separate_segments(lengths), best_device(0), capacity));
  }
}

TEST_F(AttentionCore, takes_a_batch_without_tokens) {
  const AttentionPlan plan = attention_plan(std::vector<int64_t>{}, best_device(0));
  const auto options = at::TensorOptions().dtype(at::kBFloat16).device(best_device(0));
  at::Tensor q = at::empty({0, 4, 64}, options), k = at::empty({0, 2, 64}, options);
  q.requires_grad_();
  const at::Tensor out = attention(q, k, k, plan, {.scale = 0.125});
  EXPECT_EQ(out.sizes(), q.sizes());
  out.sum().backward();
  EXPECT_EQ(q.grad().numel(), 0);
}

TEST_F(AttentionCore, forward_gives_the_same_bits_every_time) {
  const AttentionCase c{"bits", separate_segments({700, 33, 1, 1290}), 8, 2, 128, testing::kOnGpu};
  const AttentionPlan plan = attention_plan(c.segments, best_device(0));
  const Parts x =
      parts(c, random("bits", {c.queries(), 12 * 128}).to(at::kBFloat16).to(best_device(0)));
  const AttentionShape shape{0, 0.1};
  const at::Tensor once = attention_forward(x.q, x.k, x.v, plan, shape).out;
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(attention_forward(x.q, x.k, x.v, plan, shape).out.equal(once));
}

// Backward by our own kernel reads the statistics of every forward.
TEST_F(AttentionOnHopper, gives_gradients_after_every_forward) {
  const AttentionCase c{"equal", separate_segments({512, 512, 512}), 4, 2, 128, testing::kOnGpu};
  const AttentionPlan plan = attention_plan(c.segments, best_device(0));
  const Parts x = parts(c, random("equal", {1536, 8 * 128}).to(at::kBFloat16).to(best_device(0)));
  const AttentionShape shape{0, 0.1};
  std::vector<at::Tensor> dk;
  for (const auto forward :
       {AttentionBackend::cudnn, AttentionBackend::cudnn_dense, AttentionBackend::flash2}) {
    Parts g = parts(c, at::empty({1536, 8 * 128}, x.q.options()));
    const AttentionOutput output = attention_forward_by(forward, x.q, x.k, x.v, plan, shape);
    attention_backward_by(AttentionBackend::hopper, x.q, x.q, x.k, x.v, output, plan, shape, g.q,
                          g.k, g.v);
    dk.push_back(g.k.to(at::kFloat));
    EXPECT_LE(relative_error(dk.back(), dk.front()), std::numeric_limits<c10::BFloat16>::epsilon());
  }
}

// What the memory planner counts on meta tensors is what cuDNN's backward takes here, to 1 %.
TEST_F(AttentionOnHopper, takes_the_memory_that_a_meta_tensor_is_charged) {
  for (const bool strided : {false, true}) {
    for (const bool dense : {false, true}) {
      const AttentionCase c{"memory",
                            separate_segments(dense ? std::vector<int64_t>(2, 4096)
                                                    : std::vector<int64_t>{5000, 3100}),
                            8,
                            2,
                            128,
                            testing::kOnGpu,
                            0,
                            strided};
      const AttentionPlan plan = attention_plan(c.segments, best_device(0));
      const Parts x =
          parts(c, random("m", {c.queries(), 12 * 128}).to(at::kBFloat16).to(best_device(0)));
      Parts g = parts(c, at::empty({c.queries(), 12 * 128}, x.q.options()));
      const at::Tensor dout = x.q.contiguous();
      const AttentionShape shape{0, 0.1};
      const auto backend = dense ? AttentionBackend::cudnn_dense : AttentionBackend::cudnn;
      const AttentionOutput output = attention_forward_by(backend, x.q, x.k, x.v, plan, shape);
      // once before the count: it makes the offsets that the plan keeps
      attention_backward_by(backend, dout, x.q, x.k, x.v, output, plan, shape, g.q, g.k, g.v);
      const int64_t before = allocated(Stat::current);
      c10::cuda::CUDACachingAllocator::resetPeakStats(best_device(0).index());
      attention_backward_by(backend, dout, x.q, x.k, x.v, output, plan, shape, g.q, g.k, g.v);
      const auto taken = static_cast<double>(allocated(Stat::peak) - before);
      const auto charged = static_cast<double>(cudnn_backward_workspace(dense, g.q, g.k, g.v));
      EXPECT_NEAR(taken / charged, 1.0, 0.01) << "strided " << strided << ", dense " << dense;
    }
  }
}

TEST_F(AttentionCore, with_a_cache_in_bf16_is_as_good_as_the_cpus) {
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

// A graph that another thread has built is the one that is taken.
TEST_F(AttentionCore, is_warmed_on_another_thread_by_meta_tensors) {
  const auto meta = [](int64_t heads) {
    return at::empty({300, heads, 128}, at::TensorOptions().dtype(at::kBFloat16).device(at::kMeta));
  };
  const AttentionShape shape{0, 0.0625};
  const at::Device device = best_device(0);
  std::thread([&] {
    warm_attention(device, meta(4), meta(2), meta(2), meta(4), meta(2), meta(2),
                   attention_plan({200, 100}, at::kMeta), shape);
  }).join();
  const auto began = std::chrono::steady_clock::now();
  const Parts x = parts({"warm", {}, 4, 2, 128, testing::kOnGpu},
                        random("warm", {300, 8 * 128}).to(at::kBFloat16).to(device));
  const at::Tensor out =
      attention_forward(x.q, x.k, x.v, attention_plan({200, 100}, device), shape).out;
  synchronize(device);
  RecordProperty("milliseconds", std::to_string(std::chrono::duration<double, std::milli>(
                                                    std::chrono::steady_clock::now() - began)
                                                    .count()));
  EXPECT_FALSE(out.isnan().any().item<bool>());
}

}  // namespace
}  // namespace lmms::kernels
