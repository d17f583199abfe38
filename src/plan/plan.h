#pragma once
/// `lmms plan`: what a run will take of a GPU and how fast it will be there, without one.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "plan/fit.h"
#include "plan/planned_run.h"

namespace lmms::plan {

/// A change of the config, and what a rehearsal under it took.
struct Alternative {
  std::string change;  ///< "trainer_args.gradient_checkpointing=auto"
  Fit fit;
};

struct Plan {
  Card card;
  std::vector<std::string> notices;       ///< what was planned otherwise than the config says
  std::string model;                      ///< "qwen3 from checkpoints/Qwen3-0.6B"
  step::NetworkSize network;              ///< parameters, and bytes that last
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

/// Rehearses the first `steps` steps of the data on `card`, in the numbers of the run. Throws
/// Error.
Plan make_plan(const PlannedRun& run, const PlannedData& data, const Card& card, int64_t steps);

/// The first steps that a loader would make, at least one. Throws Error.
std::vector<data::StepBatch> first_steps(const PlannedData& data, int64_t steps);

/// What would let `batch` fit where it does not: changes of one key or two, each rehearsed; only
/// those that fit, or none.
std::vector<Alternative> alternatives(const PlannedRun& run, const Card& card,
                                      const data::StepBatch& batch);

/// "24.1 GiB: weights 1.1, masters 2.2, ...".
std::string persistent_text(const step::NetworkSize& network);
/// What to change where a step of this cost does not fit.
std::string advice_text(const std::vector<Alternative>& alternatives, const StepCost& cost,
                        int64_t usable);
std::string plan_table(const Plan& plan, int width);
nlohmann::json plan_json(const Plan& plan);

}  // namespace lmms::plan
