#include "step/step.h"

namespace lmms::step {
namespace {

/// Their weights get no gradient while it lives: other networks than a phase trains.
class Frozen {
 public:
  Frozen(TrainState& state, const Network& trained) {
    for (Network& network : state.networks) {
      if (&network == &trained) continue;
      for (nn::Param& param : network.model->params().all()) {
        if (!param.trainable) continue;
        set_trainable(param, false);
        params_.push_back(&param);
      }
    }
  }
  ~Frozen() {
    for (nn::Param* param : params_) set_trainable(*param, true);
  }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  static void set_trainable(nn::Param& param, bool trainable) {
    param.trainable = trainable;
    at::Tensor leaf = param.leaf();
    leaf.set_requires_grad(trainable);
  }
  std::vector<nn::Param*> params_;
};

class PlainRunner : public StepRunner {
 public:
  void run(TrainState& state, const objectives::Phase& phase,
           std::span<const MicroStep> micro_steps, const nn::RunContext& context,
           objectives::StepValues& values) override {
    Network& network = state.at(phase.network);
    const Frozen others(state, network);
    const std::vector<objectives::NamedModel> models = state.models();
    const at::Tensor fault = network.decision->fault();
    for (const MicroStep& micro : micro_steps) {
      objectives::StepContext micro_step({.models = models,
                                          .batch = micro.batch,
                                          .run = context,
                                          .denominators = micro.denominators,
                                          .fault = fault},
                                         values);
      phase.run(micro_step);
    }
  }
};

}  // namespace

std::unique_ptr<StepRunner> plain_runner() {
  return std::make_unique<PlainRunner>();
}

objectives::StepValues train_step(TrainState& state, const objectives::Objective& objective,
                                  StepRunner& runner, std::span<const MicroStep> micro_steps,
                                  const nn::RunContext& context,
                                  std::span<const std::vector<double>> learning_rates,
                                  const Attempts& attempts) {
  objectives::StepValues out;
  out.terms.resize(objective.terms().size());
  for (const objectives::Phase& phase : objective.phases()) {
    Network& network = state.at(phase.network);
    objectives::StepValues values;
    attempts([&] {
      values = {.loss = {}, .terms = out.terms};
      for (parallel::Bucket& bucket : network.memory.buckets) bucket.zero_gradients();
      runner.run(state, phase, micro_steps, context, values);
    });
    network.decision->decide(values.loss);
    network.optimizer->update(*network.decision, learning_rates[state.index_of(phase.network)]);
    out.terms = std::move(values.terms);
    if (&network == &state.main()) out.loss = values.loss;
  }
  return out;
}

}  // namespace lmms::step
