#include "nn/run.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "nn/linear.h"
#include "nn/memory.h"

namespace lmms::nn {
namespace {

struct State {
  at::Tensor hidden, scale, optional;

  template <class F>
  void each(F f) {
    f(hidden);
    f(scale);
    f(optional);
  }
};

/// hidden = tanh(W hidden) * scale + optional; hands scale and optional through.
struct Unit {
  std::string name = "unit";
  Linear linear;
  mutable int calls = 0;

  State operator()(const State& state) const {
    ++calls;
    State out = state;
    out.hidden = linear(state.hidden).tanh() * state.scale;
    if (state.optional.defined()) out.hidden = out.hidden + state.optional;
    return out;
  }
};

struct Network {
  ParamTable params;
  ModelMemory memory;
  Unit unit;

  explicit Network(at::ScalarType dtype = at::kFloat) {
    unit.linear = {
        &params.add("unit", "w", {4, 4}, {Init::Law::normal, 0.5, -1}, ParamClass::matrix),
        &params.add("unit", "b", {4}, {Init::Law::normal, 0.5, -1}, ParamClass::vector)};
    memory = allocate(params, {at::kCPU, dtype, dtype});
    initialise(params, memory, 3);
  }
  at::Tensor gradients() const { return memory.buckets[0].whole().gradients; }
};

State state(bool hidden_needs_gradient, bool with_optional) {
  State s;
  s.hidden = at::full({3, 4}, 0.25f).set_requires_grad(hidden_needs_gradient);
  s.scale = at::full({4}, 2.0f);
  if (with_optional) s.optional = at::full({3, 4}, 0.5f);
  return s;
}

TEST(Run, recomputed_gives_the_same_bits_as_kept_in_values_and_gradients) {
  for (bool needs_gradient : {false, true}) {
    for (bool with_optional : {false, true}) {
      at::Tensor values[2], weights[2], inputs[2];
      for (bool recompute : {false, true}) {
        const Network net;
        State s = state(needs_gradient, with_optional);
        const at::Tensor x = s.hidden;
        for (int i = 0; i < 2; ++i)
          s = run({.keep = recompute ? Keep::inputs : Keep::everything}, net.unit, s);
        torch::autograd::backward({(s.hidden * s.hidden).sum()}, {});
        EXPECT_EQ(net.unit.calls, recompute ? 4 : 2);
        values[recompute] = s.hidden;
        weights[recompute] = net.gradients().clone();
        inputs[recompute] = x.grad();
        EXPECT_EQ(s.optional.defined(), with_optional);
      }
      EXPECT_TRUE(values[0].equal(values[1]));
      EXPECT_TRUE(weights[0].equal(weights[1]));
      EXPECT_GT(weights[0].abs().max().item<float>(), 0.0f);
      EXPECT_EQ(inputs[0].defined(), needs_gradient);
      EXPECT_EQ(inputs[1].defined(), needs_gradient);
      if (needs_gradient) {
        EXPECT_TRUE(inputs[0].equal(inputs[1]));
      }
    }
  }
}

TEST(Run, hands_untouched_members_through_as_the_same_tensors) {
  const Network net;
  const State s = state(false, true);
  const State out = run({.keep = Keep::inputs}, net.unit, s);
  EXPECT_TRUE(out.scale.is_same(s.scale));
  EXPECT_TRUE(out.optional.is_same(s.optional));
}

TEST(Run, without_grad_mode_runs_a_unit_once_and_keeps_nothing) {
  const Network net;
  const c10::NoGradGuard no_grad;
  const State out = run({.keep = Keep::inputs}, net.unit, state(false, false));
  EXPECT_EQ(net.unit.calls, 1);
  EXPECT_FALSE(out.hidden.requires_grad());
}

TEST(Linear, is_x_times_the_transposed_weight_plus_bias) {
  const Network net;
  const at::Tensor x = at::full({2, 5, 4}, 0.5f);
  const at::Tensor W = net.unit.linear.weight->leaf().detach();
  const Scope weights = scope({}, net.unit.name);
  const at::Tensor y = net.unit.linear(x).detach();
  ASSERT_EQ(y.sizes(), (at::IntArrayRef{2, 5, 4}));
  const at::Tensor expected = W.sum(1) * 0.5 + net.unit.linear.bias->leaf().detach();
  EXPECT_LE((y - expected).abs().max().item<float>(), 1e-6f);
  const Linear without{net.unit.linear.weight, nullptr};
  EXPECT_LE((without(x).detach() - W.sum(1) * 0.5).abs().max().item<float>(), 1e-6f);
}

TEST(Embedding, looks_rows_up_and_adds_gradients_of_repeated_ids) {
  ParamTable params;
  const Embedding embedding{&params.add("root", "e", {5, 3}, {}, ParamClass::embedding)};
  ModelMemory memory = allocate(params, {});
  initialise(params, memory, 1);
  const at::Tensor ids = at::full({3}, 4, at::kInt);
  const Scope weights = scope({}, "root");
  const at::Tensor y = embedding(ids);
  EXPECT_TRUE(y.detach()[2].equal(params.all()[0].leaf().detach()[4]));
  torch::autograd::backward({y.sum()}, {});
  EXPECT_EQ(memory.buckets[0].gradient(0)[4][0].item<float>(), 3.0f);
  EXPECT_EQ(memory.buckets[0].gradient(0).sum().item<float>(), 9.0f);
}

}  // namespace
}  // namespace lmms::nn
