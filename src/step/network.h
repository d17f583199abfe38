#pragma once
/// A network that is trained, and all that belongs to its training.
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"
#include "nn/memory.h"
#include "optim/ema.h"
#include "optim/learning_rate.h"
#include "optim/optimizer.h"
#include "optim/step_decision.h"
#include "step/parameter_groups.h"

namespace lmms::step {

struct Network {
  std::string name;      ///< as phases of an objective call it
  std::string saved_in;  ///< its folder in a checkpoint, relative; empty: the checkpoint itself
  std::unique_ptr<models::Model> model;
  nn::ModelMemory memory;
  std::vector<ParameterGroup> groups;             ///< one for each learning rate
  std::unique_ptr<optim::StepDecision> decision;  ///< of its updates
  std::unique_ptr<optim::Optimizer> optimizer;
  std::optional<optim::LearningRate> schedule;  ///< once the number of steps is known
  std::unique_ptr<optim::Ema> ema;              ///< where one is asked for
};

/// Where the settings stand in the user's config, for errors.
struct NetworkKeys {
  std::string freeze_modules = "trainer_args.freeze_modules";
  std::string learning_rates = "trainer_args.learning_rates";
  std::string ema_param_filter = "trainer_args.ema_param_filter";
};

struct NetworkOptions {
  std::string name;
  std::string saved_in = {};
  std::vector<std::string> freeze_modules = {};
  nn::MemoryOptions memory = {};
  optim::OptimizerConfig optimizer = {};
  optim::OptimizerFactory make_optimizer = nullptr;  ///< of optimizer.optim
  bool decay_everything = false;                     ///< norms and biases decay too
  optim::EmaConfig ema = {};
  uint64_t seed = 0;  ///< of initial weights and of random rounding
  NetworkKeys where = {};
};

/// Where weights come from.
struct InitialWeights {
  enum class From {
    law,     ///< each Param's own, drawn
    folder,  ///< a checkpoint's
    later,   ///< left as they are, for a checkpoint to fill
  };
  From from = From::law;
  std::filesystem::path folder = {};
};

/// Freezes modules, lays out memory on the device and fills it; makes optimiser and average. Throws
/// Error, also for weights that are not finite and for an ema_param_filter that takes no weight
/// that is trained.
Network make_network(std::unique_ptr<models::Model> model, const NetworkOptions& options,
                     const InitialWeights& weights);

/// Freezes what `modules` name. Throws Error, with `where`.
void freeze_modules(nn::ParamTable& params, const std::vector<std::string>& modules,
                    const std::string& where);

/// Throws Error(where) that names the first tensor with a NaN or an infinity, if there is one.
void refuse_not_finite(const Network& network, const std::filesystem::path& where,
                       const std::string& fix);

/// Of each group of weights, for the update after `done` steps, at which `progress` in [0, 1] of
/// the training is done.
std::vector<double> learning_rates(const Network& network, int64_t done, double progress);

}  // namespace lmms::step
