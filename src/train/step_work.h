#pragma once
/// A step's batch as the device gets it.
#include <c10/core/Device.h>

#include <vector>

#include "data/loader.h"
#include "models/model.h"
#include "nn/batch.h"

namespace lmms::train {

struct StepWork {
  std::vector<nn::Batch> micro_steps;       ///< those with something to train
  double flops = 0, lmms_engine_flops = 0;  ///< models::Model counts them
};

/// How the loss of a step is divided, and among whom the step is.
struct StepDivision {
  bool by_micro_step = false;  ///< the mean of the micro-steps' means (compat: loss), else the mean
                               ///< over all supervised tokens of the step
  int ranks = 1;
};

/// Moves the micro-steps to the device, or gives them shapes on the meta device. On a GPU they are
/// copied beside what it computes (kernels::on_copy_stream): keep them until their step is done.
StepWork step_work(const data::StepBatch& batch, const models::Model& model, c10::Device device,
                   const StepDivision& division);

}  // namespace lmms::train
