#pragma once
/// Learning rates that follow a metric of the evaluation. `reduce_lr_on_plateau` as torch 2.11's
/// ReduceLROnPlateau (lr_scheduler.py), `greedy` as GreedyLR of transformers 5.17
/// (optimization.py; arXiv 2512.14527), each with one bound for all parameters.
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "optim/config.h"

namespace lmms::optim {

/// True for the names that MetricSchedule implements.
bool follows_metric(std::string_view schedule);

/// What changes over a run: with it a resumed run goes on bit for bit.
struct MetricScheduleState {
  double learning_rate = 0;
  std::optional<double> best;  ///< absent: no finite metric yet
  int64_t bad = 0, good = 0;   ///< metrics in a row without and with improvement
  int64_t cooldown = 0;        ///< metrics still ignored after a reduction
  int64_t warmup = 0;          ///< metrics still ignored after an increase; greedy
  int64_t until_reset = 0;     ///< reductions at the floor until it starts over; greedy
  std::vector<double> window;  ///< metrics that are averaged, oldest first; greedy with smooth
  double window_sum = 0;

  bool operator==(const MetricScheduleState&) const = default;
};

class MetricSchedule {
 public:
  /// `config.lr_scheduler_type` follows a metric. Absent arguments have the defaults of the
  /// sources.
  MetricSchedule(const ScheduleConfig& config, double learning_rate);

  double learning_rate() const { return state_.learning_rate; }
  /// The metric of one evaluation; a NaN counts as no improvement.
  void observe(double metric);

  const MetricScheduleState& state() const { return state_; }
  void restore(MetricScheduleState state) { state_ = std::move(state); }

 private:
  bool better(double metric) const;
  void observe_plateau(double metric);
  void observe_greedy(double metric);
  double smoothed(double metric);
  void reduce();
  void increase();

  ScheduleArguments arguments_;  // every argument has its value
  double initial_;
  bool greedy_;
  MetricScheduleState state_;
};

}  // namespace lmms::optim
