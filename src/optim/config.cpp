#include "optim/config.h"

#include <algorithm>
#include <array>
#include <regex>

#include "core/config/fields.h"

namespace lmms::optim {

using config::Built;
using config::Fields;
using config::Name;
using config::Rule;

// The least normal number of fp32: a smaller epsilon could become 0, and the update of a weight
// without a gradient 0 / 0.
constexpr double kLeastEpsilon = 1.2e-38;

std::span<const Name> optimizer_names() {
#define LMMS_OPTIMIZER(name, factory, help) Name{#name, Built::built, help},
#define LMMS_OPTIMIZER_LATER(name) Name{#name, Built::later, ""},
  static const std::array list = {
#include "optim/optimizers.def"
  };
#undef LMMS_OPTIMIZER
#undef LMMS_OPTIMIZER_LATER
  return list;
}

std::span<const Name> schedule_names() {
#define LMMS_SCHEDULE(name, factory, help) Name{#name, Built::built, help},
  static const std::array list = {
#include "optim/schedules.def"
  };
#undef LMMS_SCHEDULE
  return list;
}

std::span<const std::string_view> schedule_kwargs(std::string_view schedule) {
  struct Arguments {
    std::string_view schedule;
    std::vector<std::string_view> names;
  };
  // As the functions of transformers/optimization.py take them; `cosine` and `wsd` as the Python
  // project has them.
  static const std::vector<Arguments> table = {
      {"cosine", {"num_cycles", "min_lr_ratio"}},
      {"cosine_with_restarts", {"num_cycles"}},
      {"polynomial", {"lr_end", "power"}},
      {"inverse_sqrt", {"timescale"}},
      {"cosine_with_min_lr", {"num_cycles", "min_lr", "min_lr_ratio"}},
      {"cosine_warmup_with_min_lr", {"num_cycles", "min_lr", "min_lr_ratio", "warmup_lr_rate"}},
      {"warmup_stable_decay",
       {"num_decay_steps", "num_stable_steps", "warmup_type", "decay_type", "min_lr_ratio",
        "num_cycles"}},
      {"wsd", {"stable_ratio", "min_lr_ratio", "num_cycles"}},
      {"constant", {"start_factor", "end_factor"}},
      {"reduce_lr_on_plateau",
       {"mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps"}},
      {"greedy",
       {"mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "warmup", "min_lr",
        "max_lr", "eps", "verbose", "smooth", "window_size", "reset_start"}},
  };
  for (const Arguments& row : table) {
    if (row.schedule == schedule) return row.names;
  }
  return {};
}

void fields(Fields& f, ModuleRate& c) {
  f.omit_absent();
  f("modules", c.modules,
    "dotted path of a module or a tensor, as in the checkpoint; everything below it belongs to it; "
    "* stands for any characters",
    Rule().required());
  f("learning_rate", c.learning_rate, "its peak; the schedule multiplies it as it does the others",
    Rule().at_least(0));
  f("weight_decay", c.weight_decay, "its decay; norms and biases have none", Rule().at_least(0));
}

void fields(Fields& f, OptimizerConfig& c) {
  f("optim", c.optim, "optimiser", Rule().one_of(optimizer_names()).extended_by("optimiser"));
  f("learning_rate", c.learning_rate, "peak learning rate", Rule().at_least(0));
  f("learning_rates", c.learning_rates,
    "modules with a learning rate or weight decay of their own; a weight belongs to the first that "
    "fits it",
    Rule().or_null());
  f("weight_decay", c.weight_decay, "decoupled decay a step; norms and biases have none",
    Rule().at_least(0));
  f("adam_beta1", c.adam_beta1, "decay of the first moment", Rule().at_least(0).less_than(1));
  f("adam_beta2", c.adam_beta2, "decay of the second moment", Rule().at_least(0).less_than(1));
  f("adam_epsilon", c.adam_epsilon, "added to the root of the second moment",
    Rule().at_least(kLeastEpsilon));
  f("max_grad_norm", c.max_grad_norm,
    "L2 norm of all gradients that clipping allows; 0: no clipping", Rule().at_least(0));
}

void fields(Fields& f, ScheduleArguments& c) {
  f.omit_absent();
  f("num_cycles", c.num_cycles, "waves of a cosine", Rule().more_than(0));
  f("min_lr", c.min_lr, "floor, as a learning rate", Rule().at_least(0));
  f("min_lr_ratio", c.min_lr_ratio, "floor, as a share of learning_rate",
    Rule().at_least(0).at_most(1));
  f.alias("min_lr_rate", "min_lr_ratio");
  f("warmup_lr_rate", c.warmup_lr_rate, "start of the warm-up, as a share of learning_rate",
    Rule().at_least(0).at_most(1));
  f("lr_end", c.lr_end, "last learning rate of polynomial", Rule().at_least(0));
  f("power", c.power, "exponent of polynomial", Rule().more_than(0));
  f("timescale", c.timescale, "scale of inverse_sqrt in steps; absent: the warm-up's",
    Rule().more_than(0));
  f("num_decay_steps", c.num_decay_steps, "steps of the decay of warmup_stable_decay",
    Rule().at_least(1));
  f("num_stable_steps", c.num_stable_steps, "steps at the peak of warmup_stable_decay",
    Rule().at_least(0));
  f("warmup_type", c.warmup_type, "shape of the warm-up of warmup_stable_decay",
    Rule().one_of({"linear", "cosine", "1-sqrt"}));
  f("decay_type", c.decay_type, "shape of the decay of warmup_stable_decay",
    Rule().one_of({"linear", "cosine", "1-sqrt"}));
  f("stable_ratio", c.stable_ratio,
    "share of the steps after the warm-up that wsd stays at the peak",
    Rule().at_least(0).at_most(1));
  f("start_factor", c.start_factor,
    "first share of learning_rate of constant, under compat: schedule", Rule().at_least(0));
  f("end_factor", c.end_factor, "last share of learning_rate of constant, under compat: schedule",
    Rule().at_least(0));
  f("mode", c.mode, "whether a lower or a higher metric is better", Rule().one_of({"min", "max"}));
  f("factor", c.factor, "of a reduction; an increase of greedy divides by it",
    Rule().more_than(0).less_than(1));
  f("patience", c.patience, "evaluations in a row that change nothing", Rule().at_least(0));
  f("threshold", c.threshold, "least improvement of the metric", Rule().at_least(0));
  f("threshold_mode", c.threshold_mode, "threshold as a share of the best metric or as it is",
    Rule().one_of({"rel", "abs"}));
  f("cooldown", c.cooldown, "evaluations ignored after a reduction", Rule().at_least(0));
  f("warmup", c.warmup, "evaluations ignored after an increase by greedy", Rule().at_least(0));
  f("max_lr", c.max_lr, "ceiling of greedy, as a learning rate", Rule().more_than(0));
  f("eps", c.eps, "changes of the learning rate up to this are not made", Rule().at_least(0));
  f("smooth", c.smooth, "greedy averages the metric over window_size evaluations");
  f("window_size", c.window_size, "evaluations that smooth averages over", Rule().at_least(1));
  f("reset_start", c.reset_start, "reductions at min_lr until greedy starts over",
    Rule().at_least(0));
  f.ignored("verbose", "every change of the learning rate is told");
}

void fields(Fields& f, ScheduleConfig& c) {
  f("lr_scheduler_type", c.lr_scheduler_type, "learning rate over the steps",
    Rule().one_of(schedule_names()).extended_by("schedule"));
  f("lr_scheduler_kwargs", c.lr_scheduler_kwargs, "arguments of the schedule");
  f("warmup_ratio", c.warmup_ratio, "warm-up as a share of all steps",
    Rule().at_least(0).at_most(1).or_null());
  f("warmup_steps", c.warmup_steps, "warm-up in steps; below 1 a share of all steps",
    Rule().at_least(0).or_null());
}

bool EmaFilter::takes(const std::string& name) const {
  const auto matches = [&](const std::string& pattern) {
    return mode == "regex" ? std::regex_search(name, std::regex(pattern))
                           : name.find(pattern) != std::string::npos;
  };
  return (include.empty() || std::any_of(include.begin(), include.end(), matches)) &&
         std::none_of(exclude.begin(), exclude.end(), matches);
}

std::optional<std::string> EmaFilter::broken_pattern() const {
  if (mode != "regex") return std::nullopt;
  for (const auto* patterns : {&include, &exclude}) {
    for (const std::string& pattern : *patterns) {
      try {
        const std::regex compiled(pattern);
      } catch (const std::regex_error&) {
        return pattern;
      }
    }
  }
  return std::nullopt;
}

void fields(Fields& f, EmaFilter& c) {
  f("mode", c.mode, "how names of weights are matched", Rule().one_of({"substring", "regex"}));
  f("include", c.include, "weights that match one of these; none given: all",
    Rule().or_null().single_or_list());
  f("exclude", c.exclude, "but not those that match one of these",
    Rule().or_null().single_or_list());
}

void fields(Fields& f, EmaConfig& c) {
  f("ema_enabled", c.ema_enabled, "an exponential moving average of the weights, saved in ema/");
  f("ema_decay", c.ema_decay, "share of the old average that stays at an update",
    Rule().more_than(0).less_than(1));
  f("ema_warmup", c.ema_warmup,
    "the share grows up to ema_decay, (1 + n) / (10 + n) after n updates, so that a short run's "
    "average forgets its first weights");
  f("ema_update_every", c.ema_update_every, "steps between updates", Rule().at_least(1));
  f("ema_start_step", c.ema_start_step, "until this step the average is the weights",
    Rule().at_least(0));
  f("ema_requires_grad_only", c.ema_requires_grad_only,
    "frozen weights do not move: they are their own average either way");
  f("ema_param_filter", c.ema_param_filter,
    "weights that are averaged; others are saved as they are", Rule().or_null());
  f("ema_resume_from_ema", c.ema_resume_from_ema,
    "a run that goes on begins with the average as its weights");
}

}  // namespace lmms::optim
