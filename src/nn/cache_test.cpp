// Toy mixers that generate token by token what they compute in one pass.
#include "nn/cache.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace lmms::nn {
namespace {

constexpr int64_t kWidth = 4, kTaps = 3;

// [n, kWidth]: the tokens of sequence b, different for each.
at::Tensor tokens(int64_t b, int64_t n) {
  return (at::arange(n * kWidth).to(at::kFloat) * 0.7 + static_cast<double>(b))
      .sin()
      .view({n, kWidth});
}

at::Tensor taps() {
  return at::linspace(-1, 1.5, kTaps * kWidth).view({kTaps, kWidth});
}

// y[t] = sum over i of taps[i] * x[t - kTaps + 1 + i], with kTaps - 1 inputs before x.
at::Tensor convolved(const at::Tensor& inputs_before_and_x) {
  const int64_t n = inputs_before_and_x.size(0) - kTaps + 1;
  at::Tensor y = at::zeros({n, kWidth});
  for (int64_t i = 0; i < kTaps; ++i) y += inputs_before_and_x.narrow(0, i, n) * taps()[i];
  return y;
}

// state[t] = 0.9 * state[t - 1] + x[t]; y = tanh(state). Returns y, and the state at last.
std::pair<at::Tensor, at::Tensor> recurred(const at::Tensor& x, at::Tensor state) {
  std::vector<at::Tensor> y;
  for (int64_t t = 0; t < x.size(0); ++t) {
    state = state * 0.9 + x[t];
    y.push_back(state.tanh());
  }
  return {at::stack(y), state};
}

// A mixer over the announced tokens of all sequences, x [T, kWidth].
using Mixer =
    std::function<at::Tensor(MixerCache&, const at::Tensor& x, const kernels::AttentionPlan& plan)>;

at::Tensor convolution(MixerCache& cache, const at::Tensor& x, const kernels::AttentionPlan& plan) {
  std::vector<int64_t> lengths;
  for (const int64_t n : plan.lengths) lengths.push_back(n + kTaps - 1);
  std::vector<at::Tensor> y;
  for (const at::Tensor& one : cache.with_inputs_before(0, x, kTaps).split_with_sizes(lengths))
    y.push_back(convolved(one));
  return at::cat(y);
}

at::Tensor recurrence(MixerCache& cache, const at::Tensor& x, const kernels::AttentionPlan& plan) {
  const at::Tensor before = cache.recurrent_state(0);
  std::vector<at::Tensor> y, states;
  const auto parts = x.split_with_sizes(plan.lengths);
  for (size_t b = 0; b < parts.size(); ++b) {
    const auto [of_b, state] = recurred(
        parts[b], before.defined() ? before[static_cast<int64_t>(b)] : at::zeros({kWidth}));
    y.push_back(of_b);
    states.push_back(state);
  }
  cache.keep_recurrent_state(0, at::stack(states));
  return at::cat(y);
}

at::Tensor attention(MixerCache& cache, const at::Tensor& x, const kernels::AttentionPlan& plan) {
  const at::Tensor heads = x.view({-1, 2, kWidth / 2});
  return cache.attend(0, heads, heads * 0.5, heads + 1.0, plan, {.window = 4, .scale = 0.7})
      .reshape(x.sizes());
}

// Those that keep inputs, a state and keys in one slot, one after another.
at::Tensor all_of_them(MixerCache& cache, const at::Tensor& x, const kernels::AttentionPlan& plan) {
  return attention(cache, recurrence(cache, convolution(cache, x, plan), plan), plan);
}

// Sequences that are generated together: of each, which and how many tokens are there.
struct Generation {
  explicit Generation(Mixer mixer, std::vector<int64_t> sequences)
      : mixer(std::move(mixer)),
        cache(std::ssize(sequences)),
        sequences(std::move(sequences)),
        done(this->sequences.size(), 0) {}

  // counts[b] more tokens of each -> what the mixer made of them, by sequence.
  std::vector<at::Tensor> go_on(std::vector<int64_t> counts) {
    const kernels::AttentionPlan plan = kernels::attention_plan(counts, at::kCPU);
    std::vector<at::Tensor> x;
    for (size_t b = 0; b < counts.size(); ++b) {
      x.push_back(tokens(sequences[b], done[b] + counts[b]).narrow(0, done[b], counts[b]));
      done[b] += counts[b];
    }
    cache.extend(plan, at::kCPU);
    return mixer(cache, at::cat(x), plan).split_with_sizes(counts);
  }

  Mixer mixer;
  MixerCache cache;
  std::vector<int64_t> sequences, done;
};

at::Tensor at_once(const Mixer& mixer, int64_t sequence, int64_t n) {
  return Generation(mixer, {sequence}).go_on({n}).front();
}

void expect_close(const at::Tensor& ours, const at::Tensor& theirs) {
  ASSERT_EQ(ours.sizes(), theirs.sizes());
  EXPECT_LE((ours - theirs).abs().max().item<double>(), 1e-6);
}

const Mixer kMixers[] = {convolution, recurrence, attention, all_of_them};
const char* const kNames[] = {"convolution", "recurrence", "attention", "all_of_them"};

class CacheOf : public ::testing::TestWithParam<size_t> {
 protected:
  const Mixer& mixer() const { return kMixers[GetParam()]; }
};

INSTANTIATE_TEST_SUITE_P(Mixers, CacheOf, ::testing::Range(size_t{0}, std::size(kMixers)),
                         [](const auto& info) { return kNames[info.param]; });

// Prompts shorter than the taps, of one token, and longer; then one token each, and two.
TEST_P(CacheOf, generates_what_one_pass_computes) {
  const std::vector<int64_t> prompts = {5, 1, 2}, ends = {9, 5, 6};
  Generation together(mixer(), {0, 1, 2});
  std::vector<std::vector<at::Tensor>> made(3);
  for (const std::vector<int64_t>& counts :
       std::vector<std::vector<int64_t>>{prompts, {1, 1, 1}, {2, 2, 2}, {1, 1, 1}}) {
    const auto part = together.go_on(counts);
    for (size_t b = 0; b < 3; ++b) made[b].push_back(part[b]);
  }
  EXPECT_EQ(together.cache.lengths(), ends);
  for (size_t b = 0; b < 3; ++b)
    expect_close(at::cat(made[b]), at_once(mixer(), static_cast<int64_t>(b), ends[b]));
}

TEST_P(CacheOf, goes_on_with_the_sequences_that_are_kept) {
  Generation together(mixer(), {3, 4, 5});
  together.go_on({2, 4, 1});
  const std::vector<int64_t> kept = {0, 2};
  together.cache.keep(kept);
  together.sequences = {3, 5};
  together.done = {2, 1};
  const auto part = together.go_on({1, 1});
  EXPECT_EQ(together.cache.lengths(), (std::vector<int64_t>{3, 2}));
  expect_close(part[0], at_once(mixer(), 3, 3).narrow(0, 2, 1));
  expect_close(part[1], at_once(mixer(), 5, 2).narrow(0, 1, 1));
}

TEST_P(CacheOf, comes_back_to_a_snapshot) {
  Generation one(mixer(), {6});
  const auto empty = one.cache.snapshot();
  one.go_on({3});
  const auto three = one.cache.snapshot();
  one.go_on({4});
  one.cache.restore(three);
  one.done = {3};
  expect_close(one.go_on({2}).front(), at_once(mixer(), 6, 5).narrow(0, 3, 2));
  one.cache.restore(empty);
  one.done = {0};
  expect_close(one.go_on({4}).front(), at_once(mixer(), 6, 4));
}

TEST_P(CacheOf, forgets_everything) {
  Generation one(mixer(), {7});
  one.go_on({3});
  one.cache.truncate(0);
  one.done = {0};
  expect_close(one.go_on({4}).front(), at_once(mixer(), 7, 4));
}

TEST(Cache, takes_keys_back_to_any_token) {
  Generation one(attention, {8});
  one.go_on({6});
  one.cache.truncate(2);
  one.done = {2};
  expect_close(one.go_on({3}).front(), at_once(attention, 8, 5).narrow(0, 2, 3));
}

TEST(Cache, says_which_slot_cannot_be_taken_back) {
  Generation one(recurrence, {9});
  one.go_on({6});
  one.cache.truncate(6);  // nothing to forget
  try {
    one.cache.truncate(2);
    FAIL() << "truncated";
  } catch (const c10::Error& e) {
    EXPECT_NE(std::string(e.what()).find("slot 0"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("restore a snapshot"), std::string::npos) << e.what();
  }
}

// An image behind a text: its tokens see the text and each other.
TEST(Cache, shows_tokens_of_a_full_segment_all_that_is_there) {
  MixerCache cache(1);
  const at::Tensor q = tokens(1, 7).view({7, 2, 2}), k = q * 0.5, v = q + 1.0;
  const kernels::AttentionShape shape{.scale = 0.7};
  for (const auto& [begin, n, mode] :
       {std::tuple{0, 3, AttentionMode::causal}, std::tuple{3, 4, AttentionMode::full}}) {
    const auto plan = kernels::attention_plan(std::vector<int64_t>{n}, at::kCPU, mode);
    cache.extend(plan, at::kCPU);
    const at::Tensor out = cache.attend(0, q.narrow(0, begin, n), k.narrow(0, begin, n),
                                        v.narrow(0, begin, n), plan, shape);
    const auto whole = kernels::attention_plan(
        std::vector<kernels::AttentionSegment>{{3, 3, AttentionMode::causal, 0},
                                               {4, 4, AttentionMode::full, 0}},
        at::kCPU);
    expect_close(out, kernels::attention(q, k, v, whole, shape).narrow(0, begin, n));
  }
}

}  // namespace
}  // namespace lmms::nn
