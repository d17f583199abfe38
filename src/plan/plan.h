#pragma once
/// `lmms plan`: what a run will take of a GPU and how fast it will be there, without one; or of
/// this machine's CPU.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "plan/fit.h"
#include "plan/planned_run.h"
#include "plan/trial.h"

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
  StepCost mean;                          ///< over the steps, by laws of time
  std::optional<Trial> trial;             ///< on a CPU, where a step takes no more than seconds
  std::vector<Alternative> alternatives;  ///< where the config does not fit: what would, at best
                                          ///< first

  /// Of a mean step: as tried, else by law.
  double step_seconds() const { return trial ? trial->seconds_a_step() : mean.total_seconds(); }
  double tokens_per_second() const {
    return trial ? static_cast<double>(trial->tokens) / trial->seconds
                 : static_cast<double>(mean.tokens) / mean.total_seconds();
  }
  double mfu() const { return mean.flops / (step_seconds() * card.peak_flops_per_second); }
};

/// Rehearses the first `steps` steps of the data on `card`, in the numbers of the run. On a CPU,
/// where a step fits and takes no longer than a few seconds, some are run too, for their time.
/// Throws Error.
Plan make_plan(const PlannedRun& run, const PlannedData& data, Card card, int64_t steps);

/// The first steps that a loader would make, at least one. Throws Error.
std::vector<data::StepBatch> first_steps(const PlannedData& data, int64_t steps);

/// What would let `batch` fit where it does not: changes of one key or two, each rehearsed; only
/// those that fit, or none.
std::vector<Alternative> alternatives(const PlannedRun& run, const Card& card,
                                      const data::StepBatch& batch);

/// "24.1 GiB: weights 1.1, masters 2.2, ...".
std::string persistent_text(const step::NetworkSize& network);
/// What to change where a step of this cost does not fit the card.
std::string advice_text(const std::vector<Alternative>& alternatives, const StepCost& cost,
                        const Card& card);
std::string plan_table(const Plan& plan, int width);
nlohmann::json plan_json(const Plan& plan);

}  // namespace lmms::plan
