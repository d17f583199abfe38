#include "step/network.h"

#include <algorithm>

#include "checkpoint/hf_folder.h"
#include "core/error.h"
#include "models/tensor_io.h"
#include "step/load_network.h"

namespace lmms::step {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<optim::Ema> make_ema(Network& network, const optim::EmaConfig& config,
                                     const std::string& where) {
  const auto takes = [&](const nn::Part& part) {
    return config.ema_param_filter.takes(part.hub_name);
  };
  const nn::ParamTable& params = network.model->params();
  if (std::none_of(params.all().begin(), params.all().end(), [&](const nn::Param& p) {
        return p.trainable && std::any_of(p.parts.begin(), p.parts.end(), takes);
      })) {
    throw Error(where, "it takes no weight that is trained: there is nothing to average",
                "names are those of the checkpoint, such as model.layers.0.mlp.down_proj.weight");
  }
  auto averaged = trained_ranges(params, network.memory, takes);
  return std::make_unique<optim::Ema>(network.memory.buckets, std::move(averaged), config);
}

void fill(Network& network, const InitialWeights& weights, uint64_t seed) {
  switch (weights.from) {
    case InitialWeights::From::law:
      return nn::initialise(network.model->params(), network.memory, seed);
    case InitialWeights::From::folder: {
      const auto hf = checkpoint::HfFolder::open(weights.folder).take();
      load_weights(network, hf.weights().take(), weights.folder);
      return refuse_not_finite(network, weights.folder,
                               "take another copy of the model that you begin with");
    }
    case InitialWeights::From::later:
      return;
  }
}

}  // namespace

Network make_network(std::unique_ptr<models::Model> model, const NetworkOptions& options,
                     const InitialWeights& weights) {
  Network network;
  network.name = options.name;
  network.saved_in = options.saved_in;
  network.model = std::move(model);
  nn::ParamTable& params = network.model->params();
  freeze_modules(params, options.freeze_modules, options.where.freeze_modules);
  if (params.elements(/*trainable_only=*/true) == 0) {
    throw Error(options.where.freeze_modules,
                "every parameter is frozen: nothing would be trained");
  }
  network.memory = nn::allocate(params, options.memory);
  fill(network, weights, options.seed);
  ParameterGroups groups =
      parameter_groups(params, network.memory, options.optimizer, options.where.learning_rates);
  network.groups = std::move(groups.groups);
  network.decision = std::make_unique<optim::StepDecision>(network.memory.buckets,
                                                           options.optimizer.max_grad_norm);
  network.optimizer = options.make_optimizer({.buckets = network.memory.buckets,
                                              .config = options.optimizer,
                                              .decay_everything = options.decay_everything,
                                              .groups = groups.ranges,
                                              .seed = options.seed});
  if (options.ema.ema_enabled)
    network.ema = make_ema(network, options.ema, options.where.ema_param_filter);
  return network;
}

void freeze_modules(nn::ParamTable& params, const std::vector<std::string>& modules,
                    const std::string& where) {
  for (const std::string& module : modules) params.freeze(module, where);
}

void refuse_not_finite(const Network& network, const fs::path& where, const std::string& fix) {
  const auto flat = [&](size_t b) { return network.memory.buckets[b].local().weights; };
  const nn::ModelMemory& memory = network.memory;
  const auto name = models::first_not_finite(network.model->params(), memory, flat,
                                             memory.buckets.front().layout().key.dtype);
  if (name)
    throw Error(where.string(), *name + " holds a NaN or an infinity: it cannot be trained", fix);
}

std::vector<double> learning_rates(const Network& network, int64_t done, double progress) {
  const optim::LearningRate& schedule = *network.schedule;
  std::vector<double> out{schedule(done, progress)};
  for (size_t g = 1; g < network.groups.size(); ++g)
    out.push_back(schedule.of(network.groups[g].learning_rate, done, progress));
  return out;
}

}  // namespace lmms::step
