#pragma once
/// A step's batch as the device gets it.
#include <c10/core/Device.h>

#include <vector>

#include "data/loader.h"
#include "models/model.h"
#include "objectives/objective.h"
#include "step/micro_step.h"

namespace lmms::step {

struct StepWork {
  std::vector<MicroStep> micro_steps;       ///< those with something to train
  double flops = 0, lmms_engine_flops = 0;  ///< of this rank; models::Model counts them
};

/// Moves the micro-steps to the device, or gives them shapes on the meta device. On a GPU they are
/// copied beside what it computes (kernels::on_copy_stream): keep them until their step is done.
/// `ranks`: among whom the step is.
StepWork step_work(const data::StepBatch& batch, const models::Model& model,
                   const objectives::Objective& objective, c10::Device device, int ranks = 1);

}  // namespace lmms::step
