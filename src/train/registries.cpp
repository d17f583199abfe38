#include "train/registries.h"

namespace lmms::train {

const Registries& built_in_registries() {
  static const Registries registries = [] {
    Registries made;
    models::register_models(made.models);
    models::register_processors(made.processors, made.models);
    data::register_datasets(made.datasets);
    objectives::register_objectives(made.objectives);
    optim::register_optimizers(made.optimizers);
    optim::register_schedules(made.schedules);
    models::register_patches(made.patches);
    register_metric_sinks(made.metric_sinks);
    return made;
  }();
  return registries;
}

}  // namespace lmms::train
