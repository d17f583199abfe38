#pragma once
/// All that is trained. Setup, plan, checkpoints and the loop walk the list.
#include <cstddef>
#include <string_view>
#include <vector>

#include "objectives/step_context.h"
#include "step/network.h"

namespace lmms::step {

struct TrainState {
  std::vector<Network> networks;  ///< the first is the one that the run is about

  Network& main() { return networks.front(); }
  const Network& main() const { return networks.front(); }
  /// By name; a name that is not there is our own mistake.
  Network& at(std::string_view name) { return networks[index_of(name)]; }
  size_t index_of(std::string_view name) const;
  /// As objectives see them.
  std::vector<objectives::NamedModel> models() const;
};

}  // namespace lmms::step
