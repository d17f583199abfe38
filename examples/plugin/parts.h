#pragma once
/// What this plugin adds to lmms: a family of models, a processor and an objective.
#include "models/registry.h"
#include "objectives/objective.h"

namespace dates {

/// model_type `gated_convolution` (gated_convolution.cpp).
lmms::models::ModelEntry gated_convolution();
/// processor_type `table_text` (table_text.cpp).
const lmms::models::ProcessorEntry& table_text();
/// trainer_type `regularised_trainer` (regularised.cpp).
lmms::objectives::ObjectiveEntry regularised();

}  // namespace dates
