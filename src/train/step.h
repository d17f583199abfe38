#pragma once
/// One step: all its micro-steps forward and backward, then the update.
#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <vector>

#include "models/model.h"
#include "nn/memory.h"
#include "objectives/objective.h"
#include "optim/adamw.h"
#include "optim/ema.h"
#include "train/parameter_groups.h"

namespace lmms::train {

/// A network that is trained: DESIGN's list of them has one entry until an objective brings more.
struct Network {
  std::unique_ptr<models::Model> model;
  nn::ModelMemory memory;
  std::vector<ParameterGroup> groups;  ///< one for each learning rate of the optimizer
  std::unique_ptr<optim::Adamw> optimizer;
  std::unique_ptr<optim::Ema> ema;  ///< where ema_enabled asks for one
};

/// Runs the micro-steps of a step and leaves the summed gradients in the buckets. Plain now;
/// pipelined and captured runners take its place later.
class StepRunner {
 public:
  virtual ~StepRunner() = default;
  /// The summed loss of the step, a fp32 scalar on the device.
  virtual at::Tensor run(Network& network, const objectives::Objective& objective,
                         std::span<const nn::Batch> micro_steps, const nn::RunContext& context) = 0;
};

std::unique_ptr<StepRunner> plain_runner();

/// Gradients to zero, the runner, the update with one learning rate a group. Returns the loss.
at::Tensor train_step(Network& network, const objectives::Objective& objective, StepRunner& runner,
                      std::span<const nn::Batch> micro_steps, const nn::RunContext& context,
                      std::span<const double> learning_rates);

}  // namespace lmms::train
