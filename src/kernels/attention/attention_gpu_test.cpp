// The core's kernels against attention in fp32, segment by segment.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isnan.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "core/format.h"
#include "kernels/attention/attention_fused.h"
#include "kernels/device.h"
#include "kernels/gpu_testing.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::random;
using testing::relative_error;
using testing::Tensors;

struct Case {
  const char* name;
  std::vector<int64_t> lengths;
  int64_t heads, kv_heads, head_dim;
  Mask mask = Mask::causal;
  int64_t window = 0;
  bool strided = false;  // q, k, v parts of one buffer, and the gradients of another
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

std::vector<int64_t> many(int64_t count) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < count; ++i) lengths.push_back(1 + i * 37 % 90);
  return lengths;
}

int64_t sum(const std::vector<int64_t>& lengths) {
  return std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
}

// q, k, v or their gradients, [T, N, D] each.
struct Parts {
  at::Tensor q, k, v;
};
Parts parts(const Case& c, const at::Tensor& row) {
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

class Attention : public testing::GpuTestWith<std::tuple<Case, AttentionBackend>> {
  std::string lacks() const override {
    const auto backend = std::get<1>(GetParam());
    return backend == AttentionBackend::flash2 || backend == AttentionBackend::short_segments
               ? ""
               : lacks_cudnn_of_hopper();
  }
};

at::Tensor in_fp32(const Tensors& t, const Case& c, const AttentionPlan& plan, double scale) {
  return c.mask == Mask::causal ? causal_attention(t[0], t[1], t[2], plan, scale, c.window)
                                : segment_attention(t[0], t[1], t[2], plan, scale);
}

void compare(const Case& c, AttentionBackend backend, const AttentionPlan& plan) {
  const int64_t T = sum(plan.lengths), width = (c.heads + 2 * c.kv_heads) * c.head_dim;
  const double scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
  const at::Device cuda = best_device(0);
  const at::Tensor row = (random(c.name, {T, width}) * 2.0).to(at::kBFloat16).to(cuda);
  const at::Tensor dout = random("dout", {T, c.heads, c.head_dim}).to(at::kBFloat16).to(cuda);
  const Parts x = parts(c, row);
  Parts g = parts(c, at::full({T, width}, std::numeric_limits<float>::quiet_NaN(),
                              row.options()));  // every element is to be written
  const AttentionShape shape{c.mask, c.window, scale};
  const AttentionOutput output = attention_forward_by(backend, x.q, x.k, x.v, plan, shape);
  attention_backward_by(backend, dout, x.q, x.k, x.v, output, plan, shape, g.q, g.k, g.v);

  Tensors exact;
  for (const at::Tensor& t : {x.q, x.k, x.v})
    exact.push_back(t.to(at::kFloat).detach().contiguous().requires_grad_());
  const at::Tensor want = in_fp32(exact, c, plan, scale);
  (want * dout.to(at::kFloat)).sum().backward();
  const double rounding = std::numeric_limits<c10::BFloat16>::epsilon();
  EXPECT_LE(relative_error(output.out, want), rounding);
  EXPECT_LE(relative_error(g.q, exact[0].grad()), 3 * rounding) << "dq";
  EXPECT_LE(relative_error(g.k, exact[1].grad()), 3 * rounding) << "dk";
  EXPECT_LE(relative_error(g.v, exact[2].grad()), 3 * rounding) << "dv";
}

TEST_P(Attention, is_as_good_as_the_segments_one_by_one_in_fp32) {
  const auto& [c, backend] = GetParam();
  compare(c, backend, attention_plan(c.lengths, best_device(0)));
}

const Case kCases[] = {
    {"one_token", {1}, 2, 1, 64},
    {"odd_lengths", {33, 1, 130, 64, 7}, 4, 2, 128},
    {"empty_segments", {0, 33, 0, 0, 95, 0}, 4, 2, 128},
    {"one_long", {3001}, 4, 4, 128},
    {"two_hundred", many(200), 6, 2, 64},
    {"window", {33, 1, 530, 64}, 4, 2, 128, Mask::causal, 16},
    {"window_of_two", {33, 1, 130}, 4, 2, 64, Mask::causal, 2},
    {"window_beyond_all", {33, 1, 130}, 4, 2, 64, Mask::causal, 4000},
    {"strided", {33, 1, 130, 64}, 4, 2, 128, Mask::causal, 0, true},
    {"strided_full", {64, 64, 16, 1, 130}, 4, 4, 80, Mask::full, 0, true},
    {"windows_of_patches", std::vector<int64_t>(37, 64), 4, 4, 80, Mask::full},
    {"siglip", {729, 729}, 4, 4, 72, Mask::full},
    {"wide_heads", {200, 57}, 4, 2, 256},
    {"wide_heads_full", {200, 57}, 2, 2, 256, Mask::full},
};

std::string name_of(const ::testing::TestParamInfo<std::tuple<Case, AttentionBackend>>& info) {
  const auto& [c, backend] = info.param;
  return fmt::format("{}_{}", c.name, short_name(backend));
}

INSTANTIATE_TEST_SUITE_P(Cases, Attention,
                         ::testing::Combine(::testing::ValuesIn(kCases),
                                            ::testing::Values(AttentionBackend::flash2,
                                                              AttentionBackend::cudnn)),
                         name_of);

const Case kHopper[] = {
    {"one_token", {1}, 2, 1, 128},
    {"odd_lengths", {33, 1, 130, 64, 7, 63, 65, 127, 128, 129}, 4, 2, 128},
    {"empty_segments", {0, 33, 0, 0, 95, 0}, 4, 2, 128},
    {"one_long", {3001}, 4, 4, 128},
    {"long_and_short", {700, 33, 1, 1290}, 8, 1, 128},
    {"two_hundred", many(200), 6, 2, 128},
    {"window", {33, 1, 530, 64}, 4, 2, 128, Mask::causal, 16},
    {"wide_window", {33, 1, 930, 64}, 4, 2, 128, Mask::causal, 300},
    {"window_beyond_all", {33, 1, 130}, 4, 2, 128, Mask::causal, 4000},
    {"strided", {33, 1, 130, 64}, 4, 2, 128, Mask::causal, 0, true},
    {"full", {64, 64, 16, 1, 130, 417}, 4, 2, 128, Mask::full},
    {"heads_of_72", {729, 729, 100}, 4, 4, 72, Mask::full},
    {"heads_of_80", {64, 64, 16, 1, 130, 417}, 4, 4, 80, Mask::full, 0, true},
    {"heads_of_80_causal", {33, 1, 530, 64}, 4, 2, 80, Mask::causal, 100},
    {"heads_of_96", {33, 1, 530, 64}, 4, 2, 96},
};
INSTANTIATE_TEST_SUITE_P(Hopper, Attention,
                         ::testing::Combine(::testing::ValuesIn(kHopper),
                                            ::testing::Values(AttentionBackend::hopper)),
                         name_of);

const Case kShort[] = {
    {"one_token", {1}, 2, 2, 64},
    {"windows", std::vector<int64_t>(37, 64), 4, 4, 80, Mask::full, 0, true},
    {"odd_lengths", {33, 1, 64, 7, 0, 63, 16, 17}, 3, 3, 72, Mask::full},
    {"causal", {33, 1, 64, 7, 0, 63, 16, 17}, 4, 4, 128, Mask::causal, 0, true},
    {"window", {33, 1, 64, 7}, 2, 2, 64, Mask::causal, 5},
    {"narrow", {33, 64}, 2, 2, 16, Mask::full},
    {"wide", {33, 64}, 2, 2, 104, Mask::full},
};
INSTANTIATE_TEST_SUITE_P(Short, Attention,
                         ::testing::Combine(::testing::ValuesIn(kShort),
                                            ::testing::Values(AttentionBackend::short_segments)),
                         name_of);

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

const Case kEqual[] = {
    {"one", {1024}, 4, 2, 128},
    {"windowed", std::vector<int64_t>(3, 512), 4, 2, 64, Mask::causal, 100},
    {"full_strided", std::vector<int64_t>(5, 256), 4, 4, 80, Mask::full, 0, true},
    {"strided", std::vector<int64_t>(2, 768), 6, 2, 128, Mask::causal, 0, true},
};
INSTANTIATE_TEST_SUITE_P(Equal, Attention,
                         ::testing::Combine(::testing::ValuesIn(kEqual),
                                            ::testing::Values(AttentionBackend::cudnn_dense)),
                         [](const auto& info) { return std::get<0>(info.param).name; });

// One graph serves every batch that fits its capacity.
TEST_F(AttentionOnHopper, serves_other_lengths_of_the_same_capacity) {
  const AttentionCapacity capacity{8, 256};
  for (const auto& lengths : std::vector<std::vector<int64_t>>{
           {256, 256, 1}, {3, 5, 7, 11, 13, 17, 19, 23}, {100}, {0, 255, 0, 254}}) {
    for (const auto backend : {AttentionBackend::cudnn, AttentionBackend::hopper})
      compare(Case{"reused", lengths, 4, 2, 128}, backend,
              attention_plan(lengths, best_device(0), capacity));
  }
}

TEST_F(AttentionCore, takes_a_batch_without_tokens) {
  const AttentionPlan plan = attention_plan({}, best_device(0));
  const auto options = at::TensorOptions().dtype(at::kBFloat16).device(best_device(0));
  at::Tensor q = at::empty({0, 4, 64}, options), k = at::empty({0, 2, 64}, options);
  q.requires_grad_();
  const at::Tensor out = causal_attention(q, k, k, plan, 0.125, 0);
  EXPECT_EQ(out.sizes(), q.sizes());
  out.sum().backward();
  EXPECT_EQ(q.grad().numel(), 0);
}

TEST_F(AttentionCore, forward_gives_the_same_bits_every_time) {
  const Case c{"bits", {700, 33, 1, 1290}, 8, 2, 128};
  const AttentionPlan plan = attention_plan(c.lengths, best_device(0));
  const Parts x =
      parts(c, random("bits", {sum(c.lengths), 12 * 128}).to(at::kBFloat16).to(best_device(0)));
  const AttentionShape shape{Mask::causal, 0, 0.1};
  const at::Tensor once = attention_forward(x.q, x.k, x.v, plan, shape).out;
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(attention_forward(x.q, x.k, x.v, plan, shape).out.equal(once));
}

// Backward by our own kernel reads the statistics of every forward.
TEST_F(AttentionOnHopper, gives_gradients_after_every_forward) {
  const Case c{"equal", {512, 512, 512}, 4, 2, 128};
  const AttentionPlan plan = attention_plan(c.lengths, best_device(0));
  const Parts x = parts(c, random("equal", {1536, 8 * 128}).to(at::kBFloat16).to(best_device(0)));
  const AttentionShape shape{Mask::causal, 0, 0.1};
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
      const Case c{
          "memory", dense ? std::vector<int64_t>(2, 4096) : std::vector<int64_t>{5000, 3100},
          8,        2,
          128,      Mask::causal,
          0,        strided};
      const AttentionPlan plan = attention_plan(c.lengths, best_device(0));
      const Parts x =
          parts(c, random("m", {sum(c.lengths), 12 * 128}).to(at::kBFloat16).to(best_device(0)));
      Parts g = parts(c, at::empty({sum(c.lengths), 12 * 128}, x.q.options()));
      const at::Tensor dout = x.q.contiguous();
      const AttentionShape shape{Mask::causal, 0, 0.1};
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

// A graph that another thread has built is the one that is taken.
TEST_F(AttentionCore, is_warmed_on_another_thread_by_meta_tensors) {
  const auto meta = [](int64_t heads) {
    return at::empty({300, heads, 128}, at::TensorOptions().dtype(at::kBFloat16).device(at::kMeta));
  };
  const AttentionShape shape{Mask::causal, 0, 0.0625};
  const at::Device device = best_device(0);
  std::thread([&] {
    warm_attention(device, meta(4), meta(2), meta(2), meta(4), meta(2), meta(2),
                   attention_plan({200, 100}, at::kMeta), shape);
  }).join();
  const auto began = std::chrono::steady_clock::now();
  const Parts x = parts(Case{"warm", {}, 4, 2, 128},
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
