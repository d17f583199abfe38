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
#include <ATen/ops/zeros.h>

#include "kernels/attention/attention_cases.h"
#include "kernels/attention/attention_rule.h"
#include "kernels/op_testing.h"

namespace lmms::kernels {
namespace {

using testing::AttentionCase;
using testing::expect_as_good_as;
using testing::random;
using testing::Tensors;

AttentionPlan plan_of(std::vector<AttentionSegment> segments) {
  return attention_plan(std::move(segments), at::kCPU);
}

constexpr AttentionMode kCausal = AttentionMode::causal, kFull = AttentionMode::full,
                        kNoise = AttentionMode::noise;

// One row of queries or keys: which segment, and which of its tokens.
struct Token {
  size_t segment;
  int64_t index;
};
std::vector<Token> tokens_of(const std::vector<AttentionSegment>& segments, bool keys) {
  std::vector<Token> tokens;
  for (size_t s = 0; s < segments.size(); ++s)
    for (int64_t i = 0; i < (keys ? segments[s].keys : segments[s].queries); ++i)
      tokens.push_back({s, i});
  return tokens;
}

// The definition of attention_plan.h, pair by pair.
bool sees(const std::vector<AttentionSegment>& segments, const Token& query, const Token& key) {
  const AttentionSegment &s = segments[query.segment], &t = segments[key.segment];
  if (query.segment == key.segment)
    return s.mode != kCausal || key.index - s.keys <= query.index - s.queries;
  return key.segment < query.segment && s.group >= 0 && t.group == s.group && t.role <= s.role &&
         t.mode != kNoise;
}

// [T, K]: of the keys that a causal query sees, the last `window`.
at::Tensor mask_of(const std::vector<AttentionSegment>& segments, int64_t window) {
  const std::vector<Token> queries = tokens_of(segments, false), keys = tokens_of(segments, true);
  at::Tensor mask = at::zeros({std::ssize(queries), std::ssize(keys)}, at::kBool);
  bool* row = mask.mutable_data_ptr<bool>();
  for (const Token& query : queries) {
    const bool narrow = window > 0 && segments[query.segment].mode == kCausal;
    int64_t seen = 0;
    for (size_t j = keys.size(); j-- > 0;)
      row[j] = sees(segments, query, keys[j]) && (!narrow || seen++ < window);
    row += keys.size();
  }
  return mask;
}

// One dense softmax with a mask of all rows: what the op must equal and never does.
at::Tensor dense(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                 const at::Tensor& visible, double scale) {
  const int64_t repeat = q.size(1) / k.size(1);
  const auto heads = [](const at::Tensor& x, int64_t n) {
    return x.repeat_interleave(n, 1).transpose(0, 1);
  };
  const at::Tensor scores = at::matmul(heads(q, 1), heads(k, repeat).transpose(1, 2)) * scale;
  const at::Tensor masked = scores.masked_fill(visible.logical_not(), -1e30);
  // the factor: a query that sees no key gives 0
  const at::Tensor p = at::softmax(masked, -1) * visible.to(q.scalar_type());
  return at::matmul(p, heads(v, repeat)).transpose(0, 1);
}

void compare(const AttentionCase& c, const at::Tensor& visible) {
  const AttentionPlan plan = plan_of(c.segments);
  const int64_t T = visible.size(0), K = visible.size(1);
  const double scale = 1.0 / std::sqrt(static_cast<double>(c.head_dim));
  expect_as_good_as(
      [&](const Tensors& t) {
        return attention(t[0], t[1], t[2], plan, {c.window, scale});
      },
      [&](const Tensors& t) { return dense(t[0], t[1], t[2], visible, scale); },
      {random("q", {T, c.heads, c.head_dim}) * 3.0, random("k", {K, c.kv_heads, c.head_dim}) * 3.0,
       random("v", {K, c.kv_heads, c.head_dim})},
      /*roundings=*/4);  // ATen's vectorised exp is good to a few units
}

class Attention : public ::testing::TestWithParam<AttentionCase> {};

TEST_P(Attention, equals_dense_attention_with_a_mask) {
  const AttentionCase& c = GetParam();
  compare(c, mask_of(c.segments, c.window));
}

std::vector<AttentionSegment> separate(std::vector<int64_t> lengths, AttentionMode mode = kCausal) {
  return separate_segments(lengths, mode);
}

INSTANTIATE_TEST_SUITE_P(Cases, Attention,
                         ::testing::ValuesIn(testing::attention_cases(testing::kOnCpu)),
                         [](const auto& info) { return info.param.name; });

// Deng et al. 2025: a token sees those before it and its own full or noised split; a noised split
// is seen by itself alone.
TEST(AttentionOfSplits, is_that_of_bagel) {
  const std::vector<AttentionSegment> splits = {{5, 5, kCausal, 0}, {4, 4, kNoise, 0},
                                                {4, 4, kFull, 0},   {6, 6, kFull, 0},
                                                {7, 7, kCausal, 0}, {3, 3, kNoise, 0}};
  const std::vector<Token> tokens = tokens_of(splits, false);
  const auto T = static_cast<int64_t>(tokens.size());
  at::Tensor visible = at::zeros({T, T}, at::kBool);
  for (int64_t i = 0; i < T; ++i) {
    for (int64_t j = 0; j < T; ++j) {
      const size_t of_i = tokens[static_cast<size_t>(i)].segment,
                   of_j = tokens[static_cast<size_t>(j)].segment;
      const bool same = of_i == of_j;
      visible[i][j].fill_((j <= i || (same && splits[of_i].mode != kCausal)) &&
                          !(splits[of_j].mode == kNoise && !same));
    }
  }
  compare({"splits", splits, 4, 2, 16, testing::kOnCpu}, visible);
}

TEST(AttentionBorders, a_sample_never_sees_its_neighbour) {
  const auto make = [](const char* other) {
    const AttentionPlan plan = plan_of(separate({4, 6}));
    const at::Tensor mine = random("mine", {4, 2, 8}), theirs = random(other, {6, 2, 8});
    const at::Tensor x = at::cat({mine, theirs});
    return attention(x, x, x, plan, {.scale = 0.3}).narrow(0, 0, 4);
  };
  EXPECT_TRUE(make("one").equal(make("two")));
}

TEST(AttentionBorders, a_batch_without_queries_gives_nothing) {
  for (const auto& segments :
       {separate({}), separate({0, 0}, kFull),
        std::vector<AttentionSegment>{{0, 0, kFull, 0}, {0, 2, kCausal, 0}}}) {
    const AttentionPlan plan = plan_of(segments);
    const int64_t K = segments.size() == 2 ? segments[1].keys : 0;
    const at::Tensor q = at::zeros({0, 4, 8}).requires_grad_(),
                     k = at::zeros({K, 2, 8}).requires_grad_();
    const at::Tensor out = attention(q, k, k, plan, {.scale = 1});
    EXPECT_EQ(out.sizes(), q.sizes());
    out.sum().backward();
    EXPECT_EQ(q.grad().numel(), 0);
  }
}

// Two sequences of 9 and 6 tokens, of which the last n are new, in a cache with room for 12; what
// the room beyond a sequence holds must not matter.
TEST(CachedAttention, equals_causal_attention_over_whole_sequences) {
  const int64_t Nq = 6, Nkv = 2, D = 8, C = 12;
  const std::vector<int64_t> lengths = {9, 6};
  const AttentionPlan plan = plan_of(separate(lengths));
  const at::Tensor q = random("q", {15, Nq, D}), k = random("k", {15, Nkv, D}),
                   v = random("v", {15, Nkv, D});
  for (const int64_t n : {1, 3}) {
    for (const int64_t window : {0, 4}) {
      const at::Tensor whole = attention(q, k, v, plan, {window, 0.3});
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
  const AttentionPlan plan = attention_plan(separate({3, 0, 4}), at::kCPU, {5, 8});
  EXPECT_TRUE(plan.cu_seqlens.equal(at::tensor({0, 3, 3, 7}, at::kInt)));
  EXPECT_TRUE(plan.padded.narrow(0, 0, 6).equal(at::tensor({0, 3, 3, 7, 7, 7}, at::kInt)));
  EXPECT_TRUE(plan.padded.narrow(0, 32, 5).equal(at::tensor({3, 0, 4, 0, 0}, at::kInt)));
  // blocks of keys: segment 2 (from token 3, its first tile 2), then segment 0
  EXPECT_TRUE(plan.padded.narrow(0, 64, 12).equal(
      at::tensor({3, 4, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0}, at::kInt)));
  EXPECT_EQ(plan.padded.numel(), 64 + 4 * plan.block_count);
  EXPECT_EQ(plan.lengths_begin, 32);
  EXPECT_EQ(plan.blocks_begin, 64);
  EXPECT_EQ(plan.equal_length, 0);
  EXPECT_EQ(plan_of(separate({6, 6})).equal_length, 6);
  const AttentionPlan usual = plan_of(separate(std::vector<int64_t>(17, 300)));
  EXPECT_EQ(usual.capacity.segments, 32);
  EXPECT_EQ(usual.capacity.length, 1024);
}

TEST(AttentionPlan, is_uniform_where_every_segment_sees_itself_alone_in_one_mode) {
  const auto uniform = [](std::vector<AttentionSegment> segments) {
    return plan_of(std::move(segments)).uniform;
  };
  EXPECT_TRUE(uniform({}));
  EXPECT_TRUE(uniform(separate({3, 0, 4})));
  EXPECT_TRUE(uniform({{3, 3, kCausal, 0}, {4, 4, kCausal, 1}}));    // samples of one segment
  EXPECT_TRUE(uniform({{3, 3, kFull}, {4, 4, kNoise}}));             // noise that nobody could see
  EXPECT_TRUE(uniform({{3, 3, kNoise, 0}, {4, 4, kNoise, 0}}));      // nor here
  EXPECT_TRUE(uniform({{3, 3, kFull, 0, 1}, {4, 4, kFull, 0, 0}}));  // a lower role sees no higher
  EXPECT_FALSE(uniform({{3, 3, kCausal, 0}, {4, 4, kCausal, 0}}));
  EXPECT_FALSE(uniform({{3, 3, kCausal}, {4, 4, kFull}}));
  EXPECT_FALSE(uniform({{3, 4, kCausal}}));
  EXPECT_TRUE(plan_of(separate({3})).causal);
  EXPECT_FALSE(plan_of(separate({3}, kNoise)).causal);
}

TEST(AttentionPlan, sorts_out_once_which_segments_each_one_sees) {
  const AttentionPlan plan = plan_of({{2, 2, kCausal, 5},
                                      {2, 2, kNoise, 5},
                                      {2, 2, kFull, 3},
                                      {2, 2, kCausal, 5, 1},
                                      {2, 2, kCausal, 5},
                                      {2, 2, kCausal}});
  EXPECT_EQ(plan.visible, (std::vector<std::vector<int32_t>>{{}, {0}, {}, {0}, {0}, {}}));
  EXPECT_EQ(plan.lengths, std::vector<int64_t>(6, 2));
  EXPECT_TRUE(plan.cu_seqlens.equal(at::tensor({0, 2, 4, 6, 8, 10, 12}, at::kInt)));
  EXPECT_FALSE(plan.padded.defined());
}

TEST(AttentionPlan, refuses_causal_queries_without_keys_of_their_own) {
  EXPECT_THROW(plan_of({{4, 3, kCausal}}), c10::Error);
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
    EXPECT_TRUE(attention_is_fused(plan, q.device(), q.scalar_type(), 128));
    const at::Tensor out = attention(q, k, v, plan, {.scale = 0.1});
    EXPECT_TRUE(out.is_meta());
    EXPECT_EQ(out.sizes(), q.sizes());
    out.sum().backward();
    EXPECT_EQ(row.grad().sizes(), row.sizes());
  }
}

TEST(AttentionOnMeta, has_the_shapes_of_mixed_segments) {
  const auto options = at::TensorOptions().dtype(at::kBFloat16).device(at::kMeta);
  const AttentionPlan plan = attention_plan(
      std::vector<AttentionSegment>{{30, 30, kCausal, 0}, {3, 3, kFull, 0}, {4, 9, kCausal}},
      at::kMeta);
  const at::Tensor q = at::empty({37, 4, 64}, options).requires_grad_(),
                   k = at::empty({42, 2, 64}, options).requires_grad_();
  EXPECT_FALSE(attention_is_fused(plan, q.device(), q.scalar_type(), 64));
  const at::Tensor out = attention(q, k, k, plan, {.scale = 0.1});
  EXPECT_TRUE(out.is_meta());
  EXPECT_EQ(out.sizes(), q.sizes());
  out.sum().backward();
  EXPECT_EQ(k.grad().sizes(), k.sizes());
}

}  // namespace
}  // namespace lmms::kernels
