#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace lmms::optim {
namespace {

constexpr double kPi = std::numbers::pi;
// The steps of a training that is measured in samples: fine enough that a step of it is below any
// real one.
constexpr double kVirtualSteps = 1 << 30;

double shape(const std::string& kind, double progress, double cosine_cycles, bool rising) {
  if (kind == "linear") return rising ? progress : 1.0 - progress;
  if (kind == "1-sqrt") return rising ? 1.0 - std::sqrt(1.0 - progress) : 1.0 - std::sqrt(progress);
  return rising ? 0.5 * (1.0 - std::cos(kPi * progress))
                : 0.5 * (1.0 + std::cos(kPi * cosine_cycles * 2.0 * progress));
}

}  // namespace

Schedule::Schedule(const ScheduleConfig& config, double learning_rate,
                   std::optional<int64_t> total_steps, bool compat)
    : config_(config),
      peak_(learning_rate),
      compat_(compat),
      by_progress_(!total_steps),
      total_(total_steps ? static_cast<double>(*total_steps) : kVirtualSteps) {
  const bool in_steps = config.warmup_ratio == 0 && config.warmup_steps >= 1;
  const double ratio = config.warmup_ratio > 0 ? config.warmup_ratio
                       : in_steps              ? 0
                                               : config.warmup_steps;
  if (!in_steps) {
    warmup_ = compat ? std::floor(total_ * ratio) : std::ceil(total_ * ratio);
  } else if (by_progress_) {
    ramp_steps_ = config.warmup_steps;
  } else {
    warmup_ = std::floor(config.warmup_steps);
  }
  const bool counts_steps = config.lr_scheduler_type == "warmup_stable_decay" ||
                            config.lr_scheduler_type == "inverse_sqrt";
  if (by_progress_ && counts_steps) {
    throw Error("trainer_args.lr_scheduler_type",
                "'" + config.lr_scheduler_type +
                    "' counts steps, and with packing their number is not known",
                "set trainer_args.max_steps, or choose another schedule");
  }
}

double Schedule::of(double peak, int64_t done, double progress) const {
  double ramp = 1.0;
  if (ramp_steps_ > 0) ramp = std::min(1.0, static_cast<double>(done) / ramp_steps_);
  return peak * ramp * factor(by_progress_ ? progress * total_ : static_cast<double>(done));
}

double Schedule::warmup_stable_decay(double step) const {
  const ScheduleArguments& a = config_.lr_scheduler_kwargs;
  const double floor = a.min_lr_ratio.value_or(0);
  const auto decay = static_cast<double>(a.num_decay_steps.value_or(0));
  const double stable =
      a.num_stable_steps ? static_cast<double>(*a.num_stable_steps) : total_ - warmup_ - decay;
  const double cycles = a.num_cycles.value_or(0.5);
  const auto above_floor = [&](double f) { return std::max(0.0, f * (1.0 - floor) + floor); };
  if (step < warmup_)
    return above_floor(
        shape(a.warmup_type.value_or("linear"), step / std::max(1.0, warmup_), cycles, true));
  if (step < warmup_ + stable) return 1.0;
  if (step >= warmup_ + stable + decay) return floor;
  const double progress = (step - warmup_ - stable) / std::max(1.0, decay);
  return above_floor(shape(a.decay_type.value_or("cosine"), progress, cycles, false));
}

double Schedule::factor(double step) const {
  const std::string& type = config_.lr_scheduler_type;
  const ScheduleArguments& a = config_.lr_scheduler_kwargs;
  if (type == "warmup_stable_decay") return warmup_stable_decay(step);

  const double floor = a.min_lr && peak_ > 0 ? *a.min_lr / peak_ : a.min_lr_ratio.value_or(0);
  const double progress = (step - warmup_) / std::max(1.0, total_ - warmup_);
  const double cosine = 0.5 * (1.0 + std::cos(kPi * a.num_cycles.value_or(0.5) * 2.0 * progress));
  if (type == "constant") {
    if (!compat_) return 1.0;
    const double start = a.start_factor.value_or(0.01), end = a.end_factor.value_or(1.0);
    if (warmup_ == 0) return start;  // as torch's LinearLR over no steps: it never leaves its start
    return step >= warmup_ ? end : start + (end - start) * step / warmup_;
  }
  if (type == "cosine_warmup_with_min_lr") {
    if (step < warmup_) {
      if (!a.warmup_lr_rate) return (step + 1.0) / std::max(1.0, warmup_);
      return *a.warmup_lr_rate + (1.0 - *a.warmup_lr_rate) * step / std::max(1.0, warmup_ - 1);
    }
    const double ahead = (step - warmup_ + 1.0) / std::max(1.0, total_ - warmup_);
    const double f = 0.5 * (1.0 + std::cos(kPi * a.num_cycles.value_or(0.5) * 2.0 * ahead));
    return std::max(0.0, f * (1.0 - floor) + floor);
  }
  if (step < warmup_) {
    const double up = step / std::max(1.0, warmup_);
    return type == "cosine" ? floor + (1.0 - floor) * up
                            : up;  // lmms_engine's cosine starts at its floor
  }
  if (type == "constant_with_warmup") return 1.0;
  if (type == "linear") return std::max(0.0, (total_ - step) / std::max(1.0, total_ - warmup_));
  if (type == "cosine") return std::max(floor, cosine * (1.0 - floor) + floor);
  if (type == "cosine_with_min_lr") return std::max(0.0, cosine * (1.0 - floor) + floor);
  if (type == "cosine_with_restarts") {
    if (progress >= 1.0) return 0.0;
    return std::max(
        0.0, 0.5 * (1.0 + std::cos(kPi * std::fmod(a.num_cycles.value_or(1) * progress, 1.0))));
  }
  if (type == "polynomial") {
    const double end = a.lr_end.value_or(1e-7);
    const double remaining = 1.0 - (step - warmup_) / std::max(1.0, total_ - warmup_);
    const double decay = step > total_ ? 0.0 : std::pow(remaining, a.power.value_or(1.0));
    if (peak_ == 0) return decay;  // groups have rates of their own; lr_end is at most the peak
    return ((peak_ - end) * decay + end) / peak_;
  }
  if (type == "inverse_sqrt") {
    const double timescale = a.timescale.value_or(warmup_ > 0 ? warmup_ : 10000.0);
    return 1.0 / std::sqrt((step + timescale - warmup_) / timescale);
  }
  if (type == "wsd") {
    const double stable = std::floor(a.stable_ratio.value_or(0.9) * (total_ - warmup_));
    if (step < warmup_ + stable) return 1.0;
    if (step >= total_) return floor;
    const double p = (step - warmup_ - stable) / std::max(1.0, total_ - warmup_ - stable);
    return floor +
           (1.0 - floor) * 0.5 * (1.0 + std::cos(kPi * a.num_cycles.value_or(0.5) * 2.0 * p));
  }
  throw Error("trainer_args.lr_scheduler_type", "not built yet: '" + type + "'",
              "`lmms list` shows the schedules");
}

}  // namespace lmms::optim
