#pragma once
/// All networks that are trained. Plan, checkpoints and the loop walk the list; setup makes the
/// first, the only one that a config describes.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "objectives/step_context.h"
#include "step/network.h"

namespace lmms::step {

/// One that computes beside them and never changes (objectives::Reference): no optimiser, no
/// checkpoint.
struct ReferenceNetwork {
  std::string name;
  std::unique_ptr<models::Model> model;
  nn::ModelMemory memory;
};

struct TrainState {
  std::vector<Network> networks;  ///< the first is the one that the run is about
  std::vector<ReferenceNetwork> references = {};

  Network& main() { return networks.front(); }
  const Network& main() const { return networks.front(); }
  /// By name; a name that is not there is our own mistake.
  Network& at(std::string_view name) { return networks[index_of(name)]; }
  size_t index_of(std::string_view name) const;
  /// Which network a message is about: "NAME: ", or nothing where there is one alone.
  std::string message_prefix(const Network& network) const;
  /// As objectives see them, references among them.
  std::vector<objectives::NamedModel> models() const;
};

}  // namespace lmms::step
