#pragma once
/// Learning rates. Formulas: transformers 5.17, optimization.py, and lmms_engine 0.1.4 (cosine with
/// min_lr_ratio, wsd, constant).
#include <cstdint>
#include <optional>

#include "optim/config.h"

namespace lmms::optim {

class Schedule {
 public:
  /// `total_steps` is unknown where packing decides how many rows there are; the schedule then runs
  /// on the share of samples that is done. Throws Error for settings that need the number of steps
  /// and don't have it. `compat`: lmms_engine's own constant (a ramp from start_factor to
  /// end_factor over the warm-up) and its rounding of warm-up steps (down; transformers: up).
  Schedule(const ScheduleConfig& config, double learning_rate, std::optional<int64_t> total_steps,
           bool compat = false);

  /// The learning rate of the update after `done` steps, at which `progress` in [0, 1] of the
  /// training is done.
  double operator()(int64_t done, double progress) const { return of(peak_, done, progress); }
  /// That of weights with a peak of their own. Floors that are given as learning rates scale with
  /// it, as under transformers.
  double of(double peak, int64_t done, double progress) const;

  int64_t warmup_steps() const { return static_cast<int64_t>(warmup_); }

 private:
  double factor(double step) const;
  double warmup_stable_decay(double step) const;

  ScheduleConfig config_;
  double peak_;
  bool compat_;
  bool by_progress_;
  double total_;
  double warmup_ = 0;
  double ramp_steps_ = 0;  // a warm-up in steps on top of a schedule that runs on progress
};

}  // namespace lmms::optim
