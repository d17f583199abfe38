#pragma once
/// `lmms plan`: what a config will take of a GPU and how fast it will be there, without one.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/data_setup.h"
#include "train/device.h"
#include "train/machine/run_needs.h"
#include "train/plan/fit.h"

namespace lmms::train::plan {

/// A change of the config, and what a rehearsal under it took.
struct Alternative {
  std::string change;  ///< "trainer_args.gradient_checkpointing=auto"
  Fit fit;
};

struct Plan {
  Card card;
  std::vector<std::string> notices;       ///< what was planned otherwise than the config says
  RunNeeds needs;                         ///< bytes that last, by what they are for
  int64_t usable = 0;                     ///< bytes that tensors can have
  int64_t rows = 0;                       ///< of a step
  int64_t steps = 0;                      ///< of the data, rehearsed
  Fit fit;                                ///< of the step that takes most
  StepCost mean;                          ///< over the steps
  std::vector<Alternative> alternatives;  ///< where the config does not fit: what would, at best
                                          ///< first

  double tokens_per_second() const {
    return static_cast<double>(mean.tokens) / mean.total_seconds();
  }
  double mfu() const { return mean.flops / (mean.total_seconds() * card.peak_flops_per_second); }
};

/// Rehearses the first `steps` steps of the config's data on `card`, in bf16, whatever the config
/// says of device and numbers: checks config, model, tokenizer and data as `lmms train` does, reads
/// no weights. Throws Error.
Plan make_plan(const LoadedConfig& loaded, const Place& place, const Card& card, int64_t steps);

/// The first steps that a loader would make, at least one. Throws Error.
std::vector<data::StepBatch> first_steps(const RunData& data, const data::LoaderOptions& options,
                                         int64_t steps);

/// The context that gradient_checkpointing and the patches name; under `auto` nothing is run again.
nn::RunContext context_of(const TrainConfig& config);

/// What would let `batch` fit where it does not: changes of one key or two, each rehearsed; only
/// those that fit, or none. `model`: its config.json.
std::vector<Alternative> alternatives(const LoadedConfig& loaded, const nlohmann::json& model,
                                      const Card& card, const data::StepBatch& batch);

/// "24.1 GiB: weights 1.1, masters 2.2, ...".
std::string persistent_text(const RunNeeds& needs);
/// What to change where a step of this cost does not fit.
std::string advice_text(const std::vector<Alternative>& alternatives, const StepCost& cost,
                        int64_t usable);
std::string plan_table(const Plan& plan, int width);
nlohmann::json plan_json(const Plan& plan);

}  // namespace lmms::train::plan
