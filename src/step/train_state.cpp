#include "step/train_state.h"

#include <c10/util/Exception.h>

namespace lmms::step {

size_t TrainState::index_of(std::string_view name) const {
  for (size_t i = 0; i < networks.size(); ++i)
    if (networks[i].name == name) return i;
  TORCH_INTERNAL_ASSERT(false, "no network '", name, "'");
}

std::string TrainState::message_prefix(const Network& network) const {
  return networks.size() > 1 ? network.name + ": " : "";
}

std::vector<objectives::NamedModel> TrainState::models() const {
  std::vector<objectives::NamedModel> out;
  for (const Network& network : networks) out.push_back({network.name, network.model.get()});
  for (const ReferenceNetwork& network : references)
    out.push_back({network.name, network.model.get()});
  return out;
}

}  // namespace lmms::step
