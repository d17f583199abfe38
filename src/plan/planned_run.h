#pragma once
/// The part of a run that decides what its steps take.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/loader.h"
#include "data/processor.h"
#include "models/model.h"
#include "nn/run_context.h"
#include "objectives/objective.h"
#include "step/network.h"
#include "step/train_state.h"

namespace lmms::plan {

struct PlannedRun {
  /// The structure of its model; called for every rehearsal.
  std::function<std::unique_ptr<models::Model>()> make_model;
  /// For steps of so many micro-steps. The device is not looked at.
  std::function<step::NetworkOptions(int64_t micro_steps)> network_options;
  /// What computes beside it, with memory on a device.
  std::function<std::vector<step::ReferenceNetwork>(c10::Device)> open_references =
      [](c10::Device) { return std::vector<step::ReferenceNetwork>(); };
  bool masters = true;  ///< fp32 masters beside bf16 weights
  std::shared_ptr<const objectives::Objective> objective;
  /// How units run: kernels, and what is kept where `automatic` does not choose it.
  nn::RunContext context;
  bool automatic = false;   ///< `gradient_checkpointing: auto`
  std::string where = {};   ///< gradient_checkpointing stands in the config
  int64_t micro_steps = 1;  ///< of a step
};

/// What its steps are made of.
struct PlannedData {
  std::shared_ptr<const data::Dataset> training;
  std::shared_ptr<const data::Processor> processor;
  data::LoaderOptions loader;
};

}  // namespace lmms::plan
