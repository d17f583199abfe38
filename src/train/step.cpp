#include "train/step.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

namespace lmms::train {
namespace {

class PlainRunner : public StepRunner {
 public:
  at::Tensor run(Network& network, const objectives::Objective& objective,
                 std::span<const nn::Batch> micro_steps, const nn::RunContext& context) override {
    at::Tensor total;
    for (const nn::Batch& batch : micro_steps) {
      const at::Tensor loss = objective.losses(*network.model, batch, context).total;
      if (loss.requires_grad()) torch::autograd::backward({loss}, {});
      const at::Tensor value = loss.detach();
      total = total.defined() ? total + value : value;
    }
    return total;
  }
};

}  // namespace

std::unique_ptr<StepRunner> plain_runner() {
  return std::make_unique<PlainRunner>();
}

at::Tensor train_step(Network& network, const objectives::Objective& objective, StepRunner& runner,
                      std::span<const nn::Batch> micro_steps, const nn::RunContext& context,
                      std::span<const double> learning_rates) {
  for (parallel::Bucket& bucket : network.memory.buckets) bucket.zero_gradients();
  const at::Tensor loss = runner.run(network, objective, micro_steps, context);
  network.optimizer->step(learning_rates, loss);
  return loss;
}

}  // namespace lmms::train
