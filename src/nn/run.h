#pragma once
/// Models call a repeated block through run(unit, state): recompute, sharding, capture and profiler
/// ranges live here, not in the blocks.
#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace lmms::nn {

/// How the units of a forward run.
struct RunContext {
  bool recompute = false;  ///< keep only what enters a unit, and run it again in backward
};

namespace detail {
using Tensors = std::vector<at::Tensor>;
/// Calls `unit` without keeping its activations; in backward it is called again under grad mode.
/// Gradients of leaves that the unit reads (its weights) are accumulated then. Outputs that are
/// inputs handed through stay those tensors.
Tensors run_recomputed(const std::function<Tensors(const Tensors&)>& unit, const Tensors& inputs);
bool recompute_applies(const RunContext& context);
}  // namespace detail

/// Runs one unit on a state. `State` is an aggregate with `void each(F f)` that calls
/// f(at::Tensor&) on every tensor in it; a unit returns a new state and changes no member of its
/// argument. `unit` must outlive the backward pass.
template <class State, class Unit>
State run(const RunContext& context, const Unit& unit, State state) {
  if (!detail::recompute_applies(context)) return unit(state);
  detail::Tensors inputs;
  state.each([&](at::Tensor& t) {
    if (t.defined()) inputs.push_back(t);
  });
  std::vector<bool> present;
  state.each([&](at::Tensor& t) { present.push_back(t.defined()); });
  const auto with = [present](State s, const detail::Tensors& tensors) {
    size_t member = 0, next = 0;
    s.each([&](at::Tensor& t) {
      if (present[member++]) t = tensors[next++];
    });
    return s;
  };
  State hollow = state;  // what is no tensor; the tensors are saved once, by the recomputing node
  hollow.each([](at::Tensor& t) { t = at::Tensor(); });
  const auto outputs = detail::run_recomputed(
      [&unit, hollow, with](const detail::Tensors& in) {
        State out = unit(with(hollow, in));
        detail::Tensors tensors;
        out.each([&](at::Tensor& t) {
          if (t.defined()) tensors.push_back(t);
        });
        return tensors;
      },
      inputs);
  return with(std::move(state), outputs);
}

}  // namespace lmms::nn
