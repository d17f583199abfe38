#include "optim/learning_rate.h"

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
  const auto* metric = std::get_if<MetricSchedule>(&schedule_);
  return metric ? metric->learning_rate() : std::get<Schedule>(schedule_)(done, progress);
}

double LearningRate::of(double peak, int64_t done, double progress) const {
  const auto* metric = std::get_if<MetricSchedule>(&schedule_);
  if (!metric) return std::get<Schedule>(schedule_).of(peak, done, progress);
  return peak_ > 0 ? peak * (metric->learning_rate() / peak_) : peak;
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
