#include "optim/learning_rate.h"

#include <cmath>

#include "core/error.h"
#include "core/format.h"

namespace lmms::optim {
namespace {

std::variant<Schedule, MetricSchedule> make(const ScheduleConfig& config, double learning_rate,
                                            std::optional<int64_t> total_steps, bool compat) {
  if (follows_metric(config.lr_scheduler_type)) return MetricSchedule(config, learning_rate);
  return Schedule(config, learning_rate, total_steps, compat);
}

}  // namespace

LearningRate::LearningRate(const ScheduleConfig& config, double learning_rate,
                           std::optional<int64_t> total_steps, bool compat)
    : peak_(learning_rate), schedule_(make(config, learning_rate, total_steps, compat)) {}

double LearningRate::operator()(int64_t done, double progress) const {
  return of(peak_, done, progress);
}

double LearningRate::of(double peak, int64_t done, double progress) const {
  const auto* metric = std::get_if<MetricSchedule>(&schedule_);
  const double rate = !metric         ? std::get<Schedule>(schedule_).of(peak, done, progress)
                      : peak == peak_ ? metric->learning_rate()
                                      : peak * (metric->learning_rate() / peak_);
  if (std::isfinite(static_cast<float>(rate))) return rate;
  throw Error(
      "trainer_args.lr_scheduler_kwargs",
      fmt::format("the learning rate of step {} is {}, which no weight can take", done + 1, rate),
      "look at trainer_args.learning_rate and the arguments of the schedule");
}

bool LearningRate::observe(double metric) {
  auto* schedule = std::get_if<MetricSchedule>(&schedule_);
  if (!schedule) return false;
  const double before = schedule->learning_rate();
  schedule->observe(metric);
  return schedule->learning_rate() != before;
}

std::optional<MetricScheduleState> LearningRate::state() const {
  const auto* schedule = std::get_if<MetricSchedule>(&schedule_);
  return schedule ? std::optional(schedule->state()) : std::nullopt;
}

void LearningRate::restore(const std::optional<MetricScheduleState>& state) {
  auto* schedule = std::get_if<MetricSchedule>(&schedule_);
  if (schedule && state) schedule->restore(*state);
}

}  // namespace lmms::optim
