#include "kernels/attention/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <limits>

#include "kernels/attention/attention_rule.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::expect_as_good_as;
using testing::random;
using testing::Tensors;

AttentionPlan plan_of(std::vector<int64_t> lengths) {
  return attention_plan(std::move(lengths), at::kCPU);
}

// One dense softmax with a mask of the whole row: what the op must equal and never does.
at::Tensor dense(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                 const AttentionPlan& plan, double scale, int64_t window, bool causal = true) {
  const int64_t T = q.size(0), repeat = q.size(1) / k.size(1);
  Tensors of;
  for (size_t s = 0; s < plan.lengths.size(); ++s)
    of.push_back(at::full({plan.lengths[s]}, static_cast<int64_t>(s), at::kLong));
  const at::Tensor segment = at::cat(of), i = at::arange(T).unsqueeze(1),
                   j = at::arange(T).unsqueeze(0);
  at::Tensor visible = segment.unsqueeze(1) == segment.unsqueeze(0);
  if (causal) visible = visible.logical_and(j <= i);
  if (window > 0) visible = visible.logical_and(j > i - window);
  const auto heads = [](const at::Tensor& x, int64_t n) {
    return x.repeat_interleave(n, 1).transpose(0, 1);
  };
  const at::Tensor scores = at::matmul(heads(q, 1), heads(k, repeat).transpose(1, 2)) * scale;
  const at::Tensor masked =
      scores.masked_fill(visible.logical_not(), -std::numeric_limits<double>::infinity());
  return at::matmul(at::softmax(masked, -1), heads(v, repeat)).transpose(0, 1);
}

struct Case {
  std::vector<int64_t> lengths;
  int64_t heads, kv_heads, head_dim, window;
};

class CausalAttention : public ::testing::TestWithParam<Case> {};

TEST_P(CausalAttention, equals_dense_attention_with_a_mask) {
  const Case& c = GetParam();
  const AttentionPlan plan = plan_of(c.lengths);
  const int64_t T = plan.cu_seqlens[-1].item<int64_t>();
  const double scale = 1.0 / std::sqrt(static_cast<double>(c.head_dim));
  expect_as_good_as(
      [&](const Tensors& t) { return causal_attention(t[0], t[1], t[2], plan, scale, c.window); },
      [&](const Tensors& t) { return dense(t[0], t[1], t[2], plan, scale, c.window); },
      {random("q", {T, c.heads, c.head_dim}) * 3.0, random("k", {T, c.kv_heads, c.head_dim}) * 3.0,
       random("v", {T, c.kv_heads, c.head_dim})},
      /*roundings=*/4);  // ATen's vectorised exp is good to a few units
}

INSTANTIATE_TEST_SUITE_P(Cases, CausalAttention,
                         ::testing::Values(Case{{1}, 1, 1, 2, 0}, Case{{5}, 2, 2, 8, 0},
                                           Case{{3, 1, 9}, 4, 2, 16, 0},
                                           Case{{33, 64, 7}, 6, 1, 32, 0}, Case{{5}, 2, 1, 8, 1},
                                           Case{{3, 1, 9, 4}, 4, 2, 16, 4},
                                           Case{{50, 17}, 2, 2, 8, 16},
                                           Case{{8, 8}, 2, 1, 8, 100}));

TEST(CausalAttentionBorders, a_sample_never_sees_its_neighbour) {
  const auto make = [](const char* other) {
    const AttentionPlan plan = plan_of({4, 6});
    const at::Tensor mine = random("mine", {4, 2, 8}), theirs = random(other, {6, 2, 8});
    const at::Tensor x = at::cat({mine, theirs});
    return causal_attention(x, x, x, plan, 0.3, 0).narrow(0, 0, 4);
  };
  EXPECT_TRUE(make("one").equal(make("two")));
}

class SegmentAttention : public ::testing::TestWithParam<Case> {};

TEST_P(SegmentAttention, equals_dense_attention_within_segments) {
  const Case& c = GetParam();
  const AttentionPlan plan = plan_of(c.lengths);
  const int64_t T = plan.cu_seqlens[-1].item<int64_t>();
  const double scale = 1.0 / std::sqrt(static_cast<double>(c.head_dim));
  expect_as_good_as(
      [&](const Tensors& t) { return segment_attention(t[0], t[1], t[2], plan, scale); },
      [&](const Tensors& t) { return dense(t[0], t[1], t[2], plan, scale, 0, false); },
      {random("q", {T, c.heads, c.head_dim}) * 3.0, random("k", {T, c.kv_heads, c.head_dim}) * 3.0,
       random("v", {T, c.kv_heads, c.head_dim})},
      /*roundings=*/4);
}

INSTANTIATE_TEST_SUITE_P(Cases, SegmentAttention,
                         ::testing::Values(Case{{1}, 1, 1, 2, 0}, Case{{5}, 2, 2, 8, 0},
                                           Case{{4, 4, 4, 2, 2, 4}, 2, 2, 12, 0},
                                           Case{{3, 1, 9, 9}, 4, 2, 16, 0},
                                           Case{{64, 64, 7}, 4, 4, 80, 0}));

// Two sequences of 9 and 6 tokens, of which the last n are new, in a cache with room for 12; what
// the room beyond a sequence holds must not matter.
TEST(CachedAttention, equals_causal_attention_over_whole_sequences) {
  const int64_t Nq = 6, Nkv = 2, D = 8, C = 12;
  const std::vector<int64_t> lengths = {9, 6};
  const AttentionPlan plan = plan_of(lengths);
  const at::Tensor q = random("q", {15, Nq, D}), k = random("k", {15, Nkv, D}),
                   v = random("v", {15, Nkv, D});
  for (const int64_t n : {1, 3}) {
    for (const int64_t window : {0, 4}) {
      const at::Tensor whole = causal_attention(q, k, v, plan, 0.3, window);
      at::Tensor keys = at::full({2, C, Nkv, D}, 1e4), values = at::full({2, C, Nkv, D}, 1e4);
      Tensors queries, expected, positions;
      for (int64_t b = 0, start = 0; b < 2; start += lengths[static_cast<size_t>(b++)]) {
        const int64_t length = lengths[static_cast<size_t>(b)];
        keys[b].narrow(0, 0, length).copy_(k.narrow(0, start, length));
        values[b].narrow(0, 0, length).copy_(v.narrow(0, start, length));
        queries.push_back(q.narrow(0, start + length - n, n));
        expected.push_back(whole.narrow(0, start + length - n, n));
        positions.push_back(at::arange(length - n, length));
      }
      const at::Tensor query = at::stack(positions).unsqueeze(-1), key = at::arange(C);
      at::Tensor visible = key <= query;
      if (window > 0) visible = visible.logical_and(key > query - window);
      const at::Tensor ours = cached_attention(at::stack(queries), keys, values, visible, 0.3);
      EXPECT_LE((ours - at::stack(expected)).abs().max().item<double>(), 1e-6)
          << n << " new, window " << window;
    }
  }
}

AttentionBackend chosen(const AttentionDevice& device, const AttentionProblem& problem) {
  return attention_backend(device, problem);
}
constexpr AttentionDevice kHopper{9, 91900, false}, kAmpere{8, 91900, false};

TEST(AttentionRule, takes_cudnn_on_hopper_and_blackwell_and_flash_elsewhere) {
  const AttentionProblem usual;
  EXPECT_EQ(chosen(kHopper, usual), AttentionBackend::cudnn);
  EXPECT_EQ(chosen({10, 91900, false}, usual), AttentionBackend::cudnn);
  EXPECT_EQ(chosen(kAmpere, usual), AttentionBackend::flash2);
  EXPECT_EQ(chosen({12, 91900, false}, usual), AttentionBackend::flash2);
  EXPECT_EQ(chosen({9, 90800, false}, usual), AttentionBackend::flash2);
  EXPECT_EQ(chosen({7, 91900, false}, usual), AttentionBackend::by_segment);
  EXPECT_EQ(chosen({}, usual), AttentionBackend::by_segment);
  EXPECT_EQ(chosen({9, 91900, true}, usual), AttentionBackend::flash2);
}

TEST(AttentionRule, looks_at_type_head_size_and_lengths) {
  EXPECT_EQ(chosen(kHopper, {.dtype = at::kFloat}), AttentionBackend::by_segment);
  for (const int64_t D : {64, 72, 80, 128, 256})
    EXPECT_EQ(chosen(kHopper, {.head_dim = D}), AttentionBackend::cudnn) << D;
  EXPECT_EQ(chosen(kHopper, {.head_dim = 36}), AttentionBackend::by_segment);
  EXPECT_EQ(chosen(kHopper, {.head_dim = 264}), AttentionBackend::by_segment);
  EXPECT_EQ(chosen({10, 91900, false}, {.head_dim = 256}), AttentionBackend::flash2);
  EXPECT_EQ(chosen(kHopper, {.grouped = true, .max_length = 64}), AttentionBackend::flash2);
  for (const AttentionDevice& device : {kHopper, kAmpere, AttentionDevice{9, 91900, true}}) {
    EXPECT_EQ(chosen(device, {.max_length = 64}), AttentionBackend::short_segments);
    EXPECT_EQ(chosen(device, {.max_length = 64, .backward = true}),
              AttentionBackend::short_segments);
  }
  EXPECT_EQ(chosen(kHopper, {.max_length = 729, .equal_length = 729}), AttentionBackend::cudnn);
  EXPECT_EQ(chosen(kHopper, {.max_length = 512, .equal_length = 512}),
            AttentionBackend::cudnn_dense);
  EXPECT_EQ(chosen(kHopper, {.largest_offset = int64_t{1} << 31}), AttentionBackend::flash2);
}

TEST(AttentionRule, takes_our_own_backward_on_hopper) {
  const AttentionProblem usual{.backward = true};
  EXPECT_EQ(chosen(kHopper, usual), AttentionBackend::hopper);
  EXPECT_EQ(chosen(kHopper, {.max_length = 512, .equal_length = 512, .backward = true}),
            AttentionBackend::hopper);
  EXPECT_EQ(chosen(kHopper, {.dtype = at::kHalf, .backward = true}), AttentionBackend::cudnn);
  for (const int64_t D : {72, 80, 96})
    EXPECT_EQ(chosen(kHopper, {.head_dim = D, .backward = true}), AttentionBackend::hopper) << D;
  for (const int64_t D : {64, 256})
    EXPECT_EQ(chosen(kHopper, {.head_dim = D, .backward = true}), AttentionBackend::cudnn) << D;
  EXPECT_EQ(chosen(kHopper, {.grouped = true, .max_length = 64, .backward = true}),
            AttentionBackend::flash2);
  EXPECT_EQ(chosen({10, 91900, false}, usual), AttentionBackend::cudnn);
  EXPECT_EQ(chosen({9, 91900, true}, usual), AttentionBackend::flash2);
}

TEST(AttentionRule, says_what_it_takes_and_why) {
  const AttentionChoice hopper = attention_choice(kHopper, at::kBFloat16);
  EXPECT_EQ(hopper.kernel,
            "cuDNN 9.19.0 fused over ragged segments, backward our own for heads of 72 to 128; our "
            "own where none exceeds 64 tokens and no heads share keys; FlashAttention-2 (ATen) for "
            "other short ones");
  const std::string half = attention_choice(kHopper, at::kHalf).kernel;
  EXPECT_EQ(half.find("our own"), std::string::npos) << half;
  EXPECT_NE(attention_choice(kHopper, at::kFloat).why.find("bf16: true"), std::string::npos);
  EXPECT_NE(attention_choice(kAmpere, at::kBFloat16).kernel.find("FlashAttention-2"),
            std::string::npos);
  EXPECT_NE(attention_choice({}, at::kBFloat16).why.find("GPUs"), std::string::npos);
}

TEST(AttentionPlan, knows_where_segments_begin_within_a_capacity) {
  const AttentionPlan plan = attention_plan({3, 0, 4}, at::kCPU, {5, 8});
  EXPECT_TRUE(plan.cu_seqlens.equal(at::tensor({0, 3, 3, 7}, at::kInt)));
  EXPECT_TRUE(plan.padded.narrow(0, 0, 6).equal(at::tensor({0, 3, 3, 7, 7, 7}, at::kInt)));
  EXPECT_TRUE(plan.padded.narrow(0, 32, 5).equal(at::tensor({3, 0, 4, 0, 0}, at::kInt)));
  // blocks of keys: segment 2 (from token 3, its first tile 2), then segment 0
  EXPECT_TRUE(plan.padded.narrow(0, 64, 12).equal(
      at::tensor({3, 4, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0}, at::kInt)));
  EXPECT_EQ(plan.padded.numel(), 64 + 4 * plan.block_count);
  EXPECT_EQ(plan.equal_length, 0);
  EXPECT_EQ(attention_plan({6, 6}, at::kCPU).equal_length, 6);
  const AttentionPlan usual = attention_plan(std::vector<int64_t>(17, 300), at::kCPU);
  EXPECT_EQ(usual.capacity.segments, 32);
  EXPECT_EQ(usual.capacity.length, 1024);
}

// The planner runs a step on these: the way of the fused core, results without numbers.
TEST(AttentionOnMeta, goes_the_way_of_cuda) {
  const auto options = at::TensorOptions().dtype(at::kBFloat16).device(at::kMeta);
  for (const auto& lengths : std::vector<std::vector<int64_t>>{{300, 33}, {20, 64}, {256, 256}}) {
    const AttentionPlan plan = attention_plan(lengths, at::kMeta);
    const int64_t T = lengths[0] + lengths[1];
    const at::Tensor row = at::empty({T, 8 * 128}, options).set_requires_grad(true);
    const auto part = [&](int64_t head, int64_t count) {
      return row.narrow(1, head * 128, count * 128).view({T, count, 128});
    };
    const at::Tensor q = part(0, 4), k = part(4, 2), v = part(6, 2);
    EXPECT_TRUE(attention_is_fused(q.device(), q.scalar_type(), 128));
    const at::Tensor out = causal_attention(q, k, v, plan, 0.1, 0);
    EXPECT_TRUE(out.is_meta());
    EXPECT_EQ(out.sizes(), q.sizes());
    out.sum().backward();
    EXPECT_EQ(row.grad().sizes(), row.sizes());
  }
}

}  // namespace
}  // namespace lmms::kernels
