#pragma once
/// Models call a repeated block through run(unit, state): recompute, sharding, capture and profiler
/// ranges live here, not in the blocks.
#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/form.h"

namespace at {
struct RecordFunction;
}

namespace lmms::nn {

/// What a unit keeps between forward and backward, from the most memory to the least; backward
/// makes the rest again.
enum class Keep {
  everything,  ///< all activations that a gradient needs
  products,    ///< outputs of products and of attention: the rest is a pass over memory away
  attention,   ///< of the attention half, as `products`; the MLP runs again from its input
  inputs,      ///< what enters the unit: all of it runs again
};
inline constexpr std::array kKeeps{Keep::everything, Keep::products, Keep::attention, Keep::inputs};

/// Which implementation each kind of op takes, where there is a choice.
struct KernelSet {
  kernels::Form norm = kernels::Form::fused, rope = kernels::Form::fused,
                activation = kernels::Form::fused, loss = kernels::Form::fused;

  bool operator==(const KernelSet&) const = default;
};

/// How one unit runs.
struct UnitRun {
  Keep keep = Keep::products;
  KernelSet kernels;
};

/// How the units of a forward run.
struct RunContext {
  Keep keep = Keep::products;                             ///< of units that `of_unit` does not name
  std::map<std::string, Keep, std::less<>> of_unit = {};  ///< by the unit's name, "model.layers.3"
  KernelSet kernels = {};

  UnitRun of(std::string_view unit) const {
    const auto found = of_unit.find(unit);
    return {found == of_unit.end() ? keep : found->second, kernels};
  }
};

namespace detail {
using Tensors = std::vector<at::Tensor>;
/// Calls `unit` without keeping its activations; in backward it is called again under grad mode.
/// Gradients of leaves that the unit reads (its weights) are accumulated then. Outputs that are
/// inputs handed through stay those tensors.
Tensors run_recomputed(const std::function<Tensors(const Tensors&)>& unit, const Tensors& inputs);
bool recompute_applies(const UnitRun& how);

/// A range of this name in a profile, while it lives; nothing where none is taken.
class ProfiledRange {
 public:
  explicit ProfiledRange(const std::string& name);
  ~ProfiledRange();
  ProfiledRange(const ProfiledRange&) = delete;
  ProfiledRange& operator=(const ProfiledRange&) = delete;

 private:
  std::unique_ptr<at::RecordFunction> range_;
};
}  // namespace detail

/// Runs one unit on a state. `State` is an aggregate with `void each(F f)` that calls
/// f(at::Tensor&) on every tensor in it, with a member `UnitRun how` if its units care, and with
/// `void settle()` if it can enter a unit in fewer tensors. A unit has a `name`, returns a new
/// state and changes no member of its argument. `unit` must outlive the backward pass.
template <class State, class Unit>
State run(const RunContext& context, const Unit& unit, State state) {
  const UnitRun how = context.of(unit.name);
  const detail::ProfiledRange range(unit.name);
  if constexpr (requires { state.how; }) state.how = how;
  if (!detail::recompute_applies(how)) return unit(state);
  if constexpr (requires { state.how; }) state.how.keep = Keep::everything;  // for one backward
  if constexpr (requires { state.settle(); }) state.settle();
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
        if constexpr (requires { out.settle(); }) out.settle();  // the members that came in
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
