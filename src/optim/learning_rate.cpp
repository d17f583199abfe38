#include "optim/learning_rate.h"

#include <cmath>
#include <string>

#include "core/error.h"
#include "core/format.h"
#include "optim/schedule.h"

namespace lmms::optim {
namespace {

class StepRule final : public ScheduleRule {
 public:
  explicit StepRule(const ScheduleSetup& s)
      : schedule_(s.config, s.learning_rate, s.total_steps, s.compat) {}
  double of(double peak, int64_t done, double progress) const override {
    return schedule_.of(peak, done, progress);
  }

 private:
  Schedule schedule_;
};

class MetricRule final : public ScheduleRule {
 public:
  explicit MetricRule(const ScheduleSetup& s)
      : peak_(s.learning_rate), schedule_(s.config, s.learning_rate) {}
  double of(double peak, int64_t, double) const override {
    return peak == peak_ ? schedule_.learning_rate() : peak * (schedule_.learning_rate() / peak_);
  }
  bool observe(double metric) override {
    const double before = schedule_.learning_rate();
    schedule_.observe(metric);
    return schedule_.learning_rate() != before;
  }
  std::optional<MetricScheduleState> state() const override { return schedule_.state(); }
  void restore(const MetricScheduleState& state) override { schedule_.restore(state); }

 private:
  double peak_;
  MetricSchedule schedule_;
};

std::unique_ptr<ScheduleRule> by_steps(const ScheduleSetup& setup) {
  return std::make_unique<StepRule>(setup);
}

std::unique_ptr<ScheduleRule> by_metric(const ScheduleSetup& setup) {
  return std::make_unique<MetricRule>(setup);
}

ScheduleFactory built_in(const std::string& type) {
  Registry<ScheduleFactory> registry("schedule");
  register_schedules(registry);
  return registry.at(type, "trainer_args.lr_scheduler_type");
}

}  // namespace

void register_schedules(Registry<ScheduleFactory>& registry) {
#define LMMS_SCHEDULE(name, factory, help) registry.add(#name, help, factory);
#include "optim/schedules.def"
#undef LMMS_SCHEDULE
}

LearningRate::LearningRate(ScheduleFactory make, const ScheduleSetup& setup)
    : peak_(setup.learning_rate), rule_(make(setup)) {}

LearningRate::LearningRate(const ScheduleConfig& config, double learning_rate,
                           std::optional<int64_t> total_steps, bool compat)
    : LearningRate(built_in(config.lr_scheduler_type),
                   {config, learning_rate, total_steps, compat}) {}

double LearningRate::operator()(int64_t done, double progress) const {
  return of(peak_, done, progress);
}

double LearningRate::of(double peak, int64_t done, double progress) const {
  const double rate = rule_->of(peak, done, progress);
  if (std::isfinite(static_cast<float>(rate))) return rate;
  throw Error(
      "trainer_args.lr_scheduler_kwargs",
      fmt::format("the learning rate of step {} is {}, which no weight can take", done + 1, rate),
      "look at trainer_args.learning_rate and the arguments of the schedule");
}

bool LearningRate::observe(double metric) {
  return rule_->observe(metric);
}

std::optional<MetricScheduleState> LearningRate::state() const {
  return rule_->state();
}

void LearningRate::restore(const std::optional<MetricScheduleState>& state) {
  if (state) rule_->restore(*state);
}

}  // namespace lmms::optim
