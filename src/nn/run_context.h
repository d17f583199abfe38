#pragma once
/// How the units of a forward run: what they keep for backward, and which kernels they take.
#include <array>
#include <map>
#include <string>
#include <string_view>

#include "kernels/form.h"

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

}  // namespace lmms::nn
