#include "nn/scope.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <stdexcept>
#include <string>
#include <thread>

#include "nn/memory.h"
#include "nn/param_builder.h"
#include "nn/residual.h"

namespace lmms::nn {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Network {
  ParamTable params;
  ModelMemory memory;
  Norm norm;
  DenseMlp mlp;
  std::string name = "model.layers.3";

  Network() {
    const ParamBuilder build{params, name, name + ".", 0.5};
    norm = build.norm("norm", 8);
    mlp = build.glu_mlp("mlp", 8, 16, false);
    memory = allocate(params, {});
    initialise(params, memory, 3);
  }
  Residual operator()(const Residual& state) const {
    Residual out = state;
    mlp_half(out, norm, mlp, {Keep::attention, {}});
    return out;
  }
  at::Tensor gradients() const { return memory.buckets[0].whole().gradients; }
};

struct State : Residual {
  template <class F>
  void each(F f) {
    f(hidden);
    f(delta);
  }
};

/// A unit that has the MLP of a Network and keeps as its context says.
struct Unit {
  std::string name;
  const Network& network;

  State operator()(const State& state) const { return {network(state)}; }
};

std::string refusal(const Param& param) {
  try {
    param.value();
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "";
}

TEST(Scope, without_its_own_a_weight_is_refused_by_name) {
  const Network net;
  const Param& weight = *net.norm.weight;
  EXPECT_THAT(refusal(weight),
              AllOf(HasSubstr("model.layers.3.norm.weight"), HasSubstr("model.layers.3;"),
                    HasSubstr("open on this thread: none")));
  const Scope other = scope({}, "model.root");
  EXPECT_THAT(refusal(weight), HasSubstr("open on this thread: model.root"));
  EXPECT_THROW(weight.handle(), c10::Error);
  EXPECT_TRUE(weight.leaf().defined());
}

TEST(Scope, lasts_as_long_as_its_block_and_on_its_thread_alone) {
  const Network net;
  const Param& weight = *net.norm.weight;
  {
    const Scope outer = scope({}, "model.layers.3");
    const Scope inner = scope({}, "model.root");
    EXPECT_TRUE(weight.value().is_same(weight.leaf()));
    EXPECT_EQ(open_units(), "model.root, model.layers.3");
    std::thread([&] { EXPECT_NE(refusal(weight), ""); }).join();
  }
  EXPECT_NE(refusal(weight), "");
}

TEST(Scope, is_closed_by_an_exception) {
  struct NoMemory {
    std::string name;
    State operator()(const State&) const { throw std::runtime_error("no memory"); }
  };
  const NoMemory unit{"model.layers.3"};
  const at::Tensor x = at::full({3, 8}, 0.5f);
  for (const Keep keep : kKeeps) {
    EXPECT_THROW(run({.keep = keep}, unit, State{{x, at::Tensor()}}), std::runtime_error);
    EXPECT_EQ(open_units(), "none");
  }
  const Scope outer = scope({}, "model.root");
  EXPECT_THROW(run({}, unit, State{{x, at::Tensor()}}), std::runtime_error);
  EXPECT_EQ(open_units(), "model.root");
}

TEST(Scope, knows_how_its_unit_runs) {
  const RunContext context{Keep::products, {{"model.root", Keep::inputs}}, {}};
  EXPECT_EQ(scope(context, "model.root").how().keep, Keep::inputs);
  EXPECT_EQ(scope(context, "model.layers.3").how().keep, Keep::products);
}

TEST(Scope, is_open_again_where_backward_makes_a_unit_again_on_whatever_thread) {
  at::Tensor gradients;
  for (const Keep keep : {Keep::attention, Keep::inputs}) {
    const Network net;
    const Unit unit{net.name, net};
    const at::Tensor x = at::full({3, 8}, 0.5f);
    const State out = run({.keep = keep}, unit, State{{x, at::Tensor()}});
    EXPECT_EQ(open_units(), "none");
    std::thread([&] {
      torch::autograd::backward({(out.hidden + (out.delta.defined() ? out.delta : x)).sum()}, {});
      EXPECT_EQ(open_units(), "none");
    }).join();
    EXPECT_GT(net.gradients().abs().sum().item<double>(), 0);
    if (gradients.defined()) {
      EXPECT_TRUE(net.gradients().equal(gradients));
    }
    gradients = net.gradients();
  }
}

}  // namespace
}  // namespace lmms::nn
