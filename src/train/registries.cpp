#include "train/registries.h"

namespace lmms::train {
namespace {

using config::Built;

template <class T>
void add_names(const Registry<T>& registry, config::MoreNames& out) {
  for (const auto& entry : registry.entries())
    if (entry.origin != kBuiltIn)
      out[registry.kind()].push_back({entry.name, Built::built, entry.help});
}

template <class T>
void add_arguments(const Registry<T>& registry, config::MoreNames& out) {
  for (const auto& entry : registry.entries())
    if (entry.origin != kBuiltIn)
      for (std::string_view name : entry.value.arguments)
        out["arguments of " + registry.kind()].push_back({name, Built::built, ""});
}

}  // namespace

config::MoreNames names_of_plugins(const Registries& registries) {
  config::MoreNames out;
  add_names(registries.processors, out);
  add_names(registries.datasets, out);
  add_names(registries.objectives, out);
  add_names(registries.optimizers, out);
  add_names(registries.schedules, out);
  add_names(registries.patches, out);
  add_names(registries.metric_sinks, out);
  add_arguments(registries.processors, out);
  add_arguments(registries.datasets, out);
  return out;
}

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
