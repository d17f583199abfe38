#pragma once
/// Models call a repeated block through run(unit, state): its scope, recompute, and later capture
/// live here, not in the blocks.
#include <ATen/core/Tensor.h>

#include <functional>
#include <utility>
#include <vector>

#include "nn/run_context.h"
#include "nn/scope.h"

namespace lmms::nn {

namespace detail {
using Tensors = std::vector<at::Tensor>;
/// Calls `unit` without keeping its activations; in backward it is called again under grad mode, on
/// whatever thread, in a scope as the innermost one here. Gradients of leaves that the unit reads
/// (its weights) are accumulated then. Inputs and outputs may be undefined; outputs that are the
/// input of the same index stay that tensor.
Tensors run_recomputed(const std::function<Tensors(const Tensors&)>& unit, const Tensors& inputs);
bool recompute_applies(const UnitRun& how);

/// The tensors of a state, undefined ones too.
template <class State>
Tensors tensors_of(State& state) {
  Tensors tensors;
  state.each([&](at::Tensor& t) { tensors.push_back(t); });
  return tensors;
}

/// The state with these tensors in place of its own.
template <class State>
State with_tensors(State state, const Tensors& tensors) {
  size_t next = 0;
  state.each([&](at::Tensor& t) { t = tensors.at(next++); });
  return state;
}
}  // namespace detail

/// Runs one unit on a state, in a scope of the unit. `State` is an aggregate with `void each(F f)`
/// that calls f(at::Tensor&) on every tensor in it, with a member `UnitRun how` if its units care,
/// and with `void settle()` if it can enter a unit in fewer tensors. A unit has a `name`, returns a
/// new state and changes no member of its argument; a tensor of the state may become defined or
/// undefined in it, what is no tensor stays. `unit` must outlive the backward pass.
template <class State, class Unit>
State run(const RunContext& context, const Unit& unit, State state) {
  const Scope weights = scope(context, unit.name);
  if constexpr (requires { state.how; }) state.how = weights.how();
  if (!detail::recompute_applies(weights.how())) return unit(state);
  if constexpr (requires { state.how; }) state.how.keep = Keep::everything;  // for one backward
  if constexpr (requires { state.settle(); }) state.settle();
  const detail::Tensors inputs = detail::tensors_of(state);
  // What is no tensor: the tensors are saved once, by the recomputing node.
  const State without_tensors = detail::with_tensors(state, detail::Tensors(inputs.size()));
  const detail::Tensors outputs = detail::run_recomputed(
      [&unit, without_tensors](const detail::Tensors& in) {
        State out = unit(detail::with_tensors(without_tensors, in));
        if constexpr (requires { out.settle(); }) out.settle();
        return detail::tensors_of(out);
      },
      inputs);
  return detail::with_tensors(std::move(state), outputs);
}

}  // namespace lmms::nn
