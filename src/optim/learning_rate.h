#pragma once
/// The learning rate of a run, whichever schedule gives it: a function of what is done (Schedule)
/// or one that follows the evaluation (MetricSchedule).
#include <cstdint>
#include <optional>
#include <variant>

#include "optim/metric_schedule.h"
#include "optim/schedule.h"

namespace lmms::optim {

class LearningRate {
 public:
  /// As Schedule; schedules that follow a metric need no number of steps.
  LearningRate(const ScheduleConfig& config, double learning_rate,
               std::optional<int64_t> total_steps, bool compat = false);

  /// For the update after `done` steps, at which `progress` in [0, 1] of the training is done.
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
  std::variant<Schedule, MetricSchedule> schedule_;
};

}  // namespace lmms::optim
