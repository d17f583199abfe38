#pragma once
/// Everything that a config may ask for by name.
#include <string>
#include <vector>

#include "core/config/rule.h"
#include "core/registry.h"
#include "data/dataset_registry.h"
#include "models/patch.h"
#include "models/registry.h"
#include "objectives/objective.h"
#include "optim/learning_rate.h"
#include "optim/optimizer.h"
#include "train/metric_sink.h"

namespace lmms::train {

/// Made once by app/ and handed down with the config; whoever brings more adds to it before.
struct Registries {
  models::ModelRegistry models{"model_type"};
  models::ProcessorRegistry processors{"processor_type"};
  data::DatasetRegistry datasets{"dataset_type"};
  objectives::ObjectiveRegistry objectives{"trainer_type"};
  Registry<optim::OptimizerFactory> optimizers{"optimiser"};
  Registry<optim::ScheduleFactory> schedules{"schedule"};
  models::PatchRegistry patches{"patch"};
  MetricSinkRegistry metric_sinks{"metric sink"};
  /// Whose shared libraries have added to them: absolute paths (train/plugins.h).
  std::vector<std::string> plugins = {};
};

/// What the program itself brings: the .def lists of the rooms.
const Registries& built_in_registries();

/// The names that are not of the .def lists, and arguments of such processors and data sets, by the
/// kind that the schema knows them by (config::Rule::extended_by). Valid as long as the registries.
config::MoreNames names_of_plugins(const Registries& registries);

}  // namespace lmms::train
