#pragma once
/// From a config to what a planner must know of its run.
#include "plan/plan.h"
#include "train/config.h"
#include "train/place.h"
#include "train/references.h"

namespace lmms::train {

/// What `lmms train` runs: for `gradient_checkpointing: auto` and the error of a full GPU. Of
/// `model` the config is kept.
plan::PlannedRun planned_run(const LoadedConfig& loaded, const models::Model& model,
                             std::shared_ptr<const objectives::Objective> objective,
                             const ReferenceOpener& open_references);

/// Kernels by the patches of the config; what is kept, where gradient_checkpointing is no `auto`.
nn::RunContext run_context(const LoadedConfig& loaded);

/// Names of --card, for help texts.
std::string planned_cards();

/// `lmms plan`: on this machine's CPU for `card` cpu; else in bf16 on `card`, whatever the config
/// says of device and numbers. An empty `card`: what `lmms train` takes here. Checks machine,
/// config, model, tokenizer and data as `lmms train` does, reads no weights. Throws Error.
plan::Plan make_plan(const LoadedConfig& loaded, const Place& place, const std::string& card,
                     int64_t steps);

}  // namespace lmms::train
