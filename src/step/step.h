#pragma once
/// One step: the phases of an objective, each all its micro-steps forward and backward, then the
/// update of its network.
#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "nn/run_context.h"
#include "objectives/objective.h"
#include "step/micro_step.h"
#include "step/train_state.h"

namespace lmms::step {

/// Runs the micro-steps of a phase and leaves the summed gradients in the buckets of its network.
/// Plain now; pipelined and captured runners take its place later.
class StepRunner {
 public:
  virtual ~StepRunner() = default;
  /// Adds to `values`, whose terms are as many as the objective has.
  virtual void run(TrainState& state, const objectives::Phase& phase,
                   std::span<const MicroStep> micro_steps, const nn::RunContext& context,
                   objectives::StepValues& values) = 0;
};

std::unique_ptr<StepRunner> plain_runner();

/// Calls its argument, and calls it again where it throws what another try may not. Until its
/// update a phase changes nothing but gradients and values, which every try sets to zero first, and
/// the fault (kernels::StepFault), which stays once it is set.
using Attempts = std::function<void(const std::function<void()>& attempt)>;

/// Gradients to zero, the runner, the update of the phase's network with one learning rate a group,
/// for each phase. `learning_rates`: by network. `context` may change between attempts. Returns the
/// loss of the first network and the sums of all terms. Never waits for the device.
objectives::StepValues train_step(
    TrainState& state, const objectives::Objective& objective, StepRunner& runner,
    std::span<const MicroStep> micro_steps, const nn::RunContext& context,
    std::span<const std::vector<double>> learning_rates,
    const Attempts& attempts = [](const auto& attempt) { attempt(); });

}  // namespace lmms::step
