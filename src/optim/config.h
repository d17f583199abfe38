#pragma once
/// What an optimiser and a schedule need to know. In the file their keys stand directly under
/// `trainer_args`.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config/names.h"

namespace lmms::config {
class Fields;
}

namespace lmms::optim {

/// Weights with a learning rate or a weight decay of their own; absent: that of all others.
struct ModuleRate {
  std::string modules;  ///< a module_pattern (nn/param.h)
  std::optional<double> learning_rate;
  std::optional<double> weight_decay;

  bool operator==(const ModuleRate&) const = default;
};

/// The most entries of `learning_rates`.
inline constexpr size_t kMaxModuleRates = 63;

struct OptimizerConfig {
  std::string optim =
      "adamw_torch_fused";  ///< of optimizers.def; every built name means AdamW with fp32 states
  double learning_rate = 5e-5;             ///< peak
  std::vector<ModuleRate> learning_rates;  ///< a weight belongs to the first that fits it
  double weight_decay = 0.0;               ///< decoupled, per step
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-8;
  double max_grad_norm = 1.0;  ///< L2 norm of all gradients that clipping allows; 0: no clipping

  bool operator==(const OptimizerConfig&) const = default;
};

/// The floor of `greedy` without min_lr, as transformers has it: above most learning rates, which
/// then never fall.
inline constexpr double kGreedyMinLr = 1e-3;

/// `lr_scheduler_kwargs`: each schedule takes the few that its formula has (`schedule_kwargs`);
/// absent means its own default.
struct ScheduleArguments {
  std::optional<double> num_cycles;        ///< cosine family
  std::optional<double> min_lr;            ///< floor as a learning rate; greedy: kGreedyMinLr
  std::optional<double> min_lr_ratio;      ///< floor as a share of learning_rate
  std::optional<double> warmup_lr_rate;    ///< cosine_warmup_with_min_lr: start of the warm-up as a
                                           ///< share of learning_rate
  std::optional<double> lr_end;            ///< polynomial
  std::optional<double> power;             ///< polynomial
  std::optional<double> timescale;         ///< inverse_sqrt, steps
  std::optional<int64_t> num_decay_steps;  ///< warmup_stable_decay
  std::optional<int64_t> num_stable_steps;  ///< warmup_stable_decay
  std::optional<std::string> warmup_type;   ///< warmup_stable_decay: linear | cosine | 1-sqrt
  std::optional<std::string> decay_type;    ///< warmup_stable_decay: linear | cosine | 1-sqrt
  std::optional<double> stable_ratio;       ///< wsd
  std::optional<double> start_factor;       ///< constant under compat: schedule
  std::optional<double> end_factor;         ///< constant under compat: schedule
  // reduce_lr_on_plateau and greedy
  std::optional<std::string> mode;            ///< min | max: what of the metric is better
  std::optional<double> factor;               ///< of a reduction; an increase divides by it
  std::optional<int64_t> patience;            ///< evaluations in a row that change nothing
  std::optional<double> threshold;            ///< least improvement
  std::optional<std::string> threshold_mode;  ///< rel | abs
  std::optional<int64_t> cooldown;            ///< evaluations ignored after a reduction
  std::optional<int64_t> warmup;              ///< greedy: evaluations ignored after an increase
  std::optional<double> max_lr;               ///< greedy: ceiling as a learning rate
  std::optional<double> eps;                  ///< smaller changes are not made
  std::optional<bool> smooth;          ///< greedy: average the metric over window_size evaluations
  std::optional<int64_t> window_size;  ///< greedy
  std::optional<int64_t> reset_start;  ///< greedy: reductions at min_lr until it starts over

  bool operator==(const ScheduleArguments&) const = default;
};

struct ScheduleConfig {
  std::string lr_scheduler_type = "linear";  ///< of schedules.def
  ScheduleArguments lr_scheduler_kwargs;
  double warmup_ratio = 0.0;  ///< share of all steps, [0, 1]
  double warmup_steps = 0.0;  ///< steps; below 1 a share of all steps, as in transformers 5

  bool operator==(const ScheduleConfig&) const = default;
};

/// Which weights an average follows, by their names in the checkpoint.
struct EmaFilter {
  std::string mode = "substring";    ///< how names are matched: substring | regex (ECMAScript)
  std::vector<std::string> include;  ///< empty: all; else those that match one of these
  std::vector<std::string> exclude;  ///< and none of these

  bool takes(const std::string& name) const;
  /// The first pattern that is no regular expression, where they must be.
  std::optional<std::string> broken_pattern() const;
  bool operator==(const EmaFilter&) const = default;
};

/// Exponential moving average of the weights.
struct EmaConfig {
  bool ema_enabled = false;
  double ema_decay = 0.9999;           ///< share of the old average that stays at an update
  bool ema_warmup = false;             ///< a smaller share at first (Ema::decay)
  int64_t ema_update_every = 1;        ///< steps between updates
  int64_t ema_start_step = 0;          ///< until then the average is the weights
  bool ema_requires_grad_only = true;  ///< frozen weights do not move, so that both are the same
  EmaFilter ema_param_filter;
  bool ema_resume_from_ema = false;  ///< a run that goes on begins with the average as its weights

  bool operator==(const EmaConfig&) const = default;
};

/// The names in optimizers.def and schedules.def, in their order.
std::span<const config::Name> optimizer_names();
std::span<const config::Name> schedule_names();
/// The keys of `lr_scheduler_kwargs` that a schedule reads; empty for an unknown name.
std::span<const std::string_view> schedule_kwargs(std::string_view schedule);

/// The fields, flat: listed by trainer_args.
void fields(config::Fields& f, ModuleRate& c);
void fields(config::Fields& f, OptimizerConfig& c);
void fields(config::Fields& f, ScheduleConfig& c);
void fields(config::Fields& f, ScheduleArguments& c);
void fields(config::Fields& f, EmaFilter& c);
void fields(config::Fields& f, EmaConfig& c);

}  // namespace lmms::optim
