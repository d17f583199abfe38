#include "optim/metric_schedule.h"

#include <algorithm>
#include <limits>

namespace lmms::optim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::string_view kGreedy = "greedy";

template <class T>
void default_to(std::optional<T>& argument, T value) {
  if (!argument) argument = std::move(value);
}

ScheduleArguments with_defaults(ScheduleArguments a, bool greedy) {
  default_to(a.mode, std::string("min"));
  default_to(a.factor, greedy ? 0.95 : 0.1);
  default_to(a.patience, int64_t{10});
  default_to(a.threshold, greedy ? 1e-6 : 1e-4);
  default_to(a.threshold_mode, std::string(greedy ? "abs" : "rel"));
  default_to(a.cooldown, int64_t{0});
  default_to(a.warmup, int64_t{0});
  default_to(a.min_lr, greedy ? kGreedyMinLr : 0.0);
  default_to(a.max_lr, 1.0);
  default_to(a.eps, 1e-8);
  default_to(a.smooth, false);
  default_to(a.window_size, int64_t{50});
  default_to(a.reset_start, int64_t{500});
  return a;
}

}  // namespace

bool follows_metric(std::string_view schedule) {
  return schedule == kGreedy || schedule == "reduce_lr_on_plateau";
}

MetricSchedule::MetricSchedule(const ScheduleConfig& config, double learning_rate)
    : arguments_(with_defaults(config.lr_scheduler_kwargs, config.lr_scheduler_type == kGreedy)),
      initial_(learning_rate),
      greedy_(config.lr_scheduler_type == kGreedy) {
  state_.learning_rate = initial_;
  state_.until_reset = *arguments_.reset_start;
}

bool MetricSchedule::better(double metric) const {
  const bool lower = *arguments_.mode == "min";
  const double best = state_.best.value_or(lower ? kInfinity : -kInfinity);
  const double threshold = *arguments_.threshold;
  if (*arguments_.threshold_mode == "rel")
    return lower ? metric < best * (1.0 - threshold) : metric > best * (1.0 + threshold);
  return lower ? metric < best - threshold : metric > best + threshold;
}

void MetricSchedule::observe(double metric) {
  if (greedy_) {
    observe_greedy(metric);
  } else {
    observe_plateau(metric);
  }
}

void MetricSchedule::observe_plateau(double metric) {
  MetricScheduleState& s = state_;
  if (better(metric)) {
    s.best = metric;
    s.bad = 0;
  } else {
    ++s.bad;
  }
  if (s.cooldown > 0) {
    --s.cooldown;
    s.bad = 0;
  }
  if (s.bad > *arguments_.patience) {
    reduce();
    s.cooldown = *arguments_.cooldown;
    s.bad = 0;
  }
}

void MetricSchedule::observe_greedy(double metric) {
  MetricScheduleState& s = state_;
  if (*arguments_.smooth) metric = smoothed(metric);
  if (s.cooldown > 0 || s.warmup > 0) {
    --(s.cooldown > 0 ? s.cooldown : s.warmup);
    s.bad = s.good = 0;
    return;
  }
  if (better(metric)) {
    s.best = metric;
    s.bad = 0;
    ++s.good;
  } else {
    ++s.bad;
    s.good = 0;
  }
  if (s.good > *arguments_.patience) {
    increase();
    s.warmup = *arguments_.warmup;
    s.good = 0;
  } else if (s.bad > *arguments_.patience) {
    reduce();
    // also after a start over, as the source has it
    s.cooldown = *arguments_.cooldown;
    s.bad = 0;
  }
}

double MetricSchedule::smoothed(double metric) {
  MetricScheduleState& s = state_;
  s.window.push_back(metric);
  s.window_sum += metric;
  if (static_cast<int64_t>(s.window.size()) > *arguments_.window_size) {
    s.window_sum -= s.window.front();
    s.window.erase(s.window.begin());
  }
  return s.window_sum / static_cast<double>(s.window.size());
}

void MetricSchedule::reduce() {
  MetricScheduleState& s = state_;
  const double lower = std::max(s.learning_rate * *arguments_.factor, *arguments_.min_lr);
  if (s.learning_rate - lower > *arguments_.eps) s.learning_rate = lower;
  if (!greedy_ || s.learning_rate > *arguments_.min_lr || --s.until_reset > 0) return;
  s = {};
  s.learning_rate = initial_;
  s.until_reset = *arguments_.reset_start;
}

void MetricSchedule::increase() {
  MetricScheduleState& s = state_;
  const double higher = std::min(s.learning_rate / *arguments_.factor, *arguments_.max_lr);
  if (higher - s.learning_rate > *arguments_.eps) s.learning_rate = higher;
  s.until_reset = *arguments_.reset_start;
}

}  // namespace lmms::optim
