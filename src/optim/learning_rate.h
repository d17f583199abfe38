#pragma once
/// The learning rate of a run, whichever schedule gives it: a function of what is done (Schedule),
/// or one that follows the evaluation (MetricSchedule).
#include <cstdint>
#include <memory>
#include <optional>

#include "core/registry.h"
#include "optim/metric_schedule.h"

namespace lmms::optim {

/// What a schedule is made for.
struct ScheduleSetup {
  const ScheduleConfig& config;
  double learning_rate = 0;                 ///< the peak
  std::optional<int64_t> total_steps = {};  ///< unknown where packing decides
  bool compat = false;                      ///< lmms_engine's formulas where they are others
};

/// How a learning rate changes over a run.
class ScheduleRule {
 public:
  virtual ~ScheduleRule() = default;
  /// That of weights whose own peak is `peak`, for the update after `done` steps, at which
  /// `progress` in [0, 1] of the training is done.
  virtual double of(double peak, int64_t done, double progress) const = 0;
  /// The eval_loss of an evaluation. True if the learning rate is another one now.
  virtual bool observe(double metric) {
    (void)metric;
    return false;
  }
  /// What a checkpoint keeps; nothing where the rule is a function of what is done.
  virtual std::optional<MetricScheduleState> state() const { return std::nullopt; }
  virtual void restore(const MetricScheduleState& state) { (void)state; }
};

/// Throws Error for settings that cannot be.
using ScheduleFactory = std::unique_ptr<ScheduleRule> (*)(const ScheduleSetup& setup);

/// Those of schedules.def, by lr_scheduler_type.
void register_schedules(Registry<ScheduleFactory>& registry);

class LearningRate {
 public:
  LearningRate(ScheduleFactory make, const ScheduleSetup& setup);
  /// By one of schedules.def: what tests take.
  LearningRate(const ScheduleConfig& config, double learning_rate,
               std::optional<int64_t> total_steps, bool compat = false);

  /// For the update after `done` steps, at which `progress` in [0, 1] of the training is done.
  /// Throws Error if it is no number that a weight can take.
  double operator()(int64_t done, double progress) const;
  /// The same for weights whose own peak is `peak`: the schedule's share of `learning_rate`, times
  /// their peak.
  double of(double peak, int64_t done, double progress) const;
  /// The eval_loss of an evaluation that the config asks for by steps or epochs, not of one at the
  /// start or end. True if the learning rate is another one now.
  bool observe(double metric);

  /// What a checkpoint keeps; nothing where the schedule is a function of what is done.
  std::optional<MetricScheduleState> state() const;
  /// Goes on from such a state; without one, or where the schedule keeps none, changes nothing.
  void restore(const std::optional<MetricScheduleState>& state);

 private:
  double peak_;
  std::unique_ptr<ScheduleRule> rule_;
};

}  // namespace lmms::optim
