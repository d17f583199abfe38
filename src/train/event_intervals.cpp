#include "train/event_intervals.h"

#include <string>

#include "core/error.h"
#include "core/format.h"

namespace lmms::train {
namespace {

EventIntervals::Interval interval(const LoadedConfig& loaded, Every strategy, const char* key,
                                  double value, std::optional<int64_t> total) {
  if (strategy != Every::steps) return {0, strategy == Every::epoch};
  if (value < 1 && !total) {
    throw Error(loaded.where(std::string("trainer_args.") + key),
                "a share of all steps, and with packing their number is not known",
                "give steps, or set trainer_args.max_steps");
  }
  return {steps_of(value, total.value_or(0)), false};
}

}  // namespace

EventIntervals event_intervals(const LoadedConfig& loaded, std::optional<int64_t> total_steps) {
  const TrainerArgs& args = loaded.config.trainer;
  const double eval_steps = args.eval_steps.value_or(args.logging_steps);
  EventIntervals out;
  out.log =
      interval(loaded, args.logging_strategy, "logging_steps", args.logging_steps, total_steps);
  const Every save = args.save_strategy == SaveStrategy::steps   ? Every::steps
                     : args.save_strategy == SaveStrategy::epoch ? Every::epoch
                                                                 : Every::no;
  out.save = interval(loaded, save, "save_steps", args.save_steps, total_steps);
  out.evaluate = interval(loaded, args.eval_strategy, "eval_steps", eval_steps, total_steps);
  out.log_first = args.logging_first_step;
  if (args.best.load_best_model_at_end && out.save.steps > 0 && out.evaluate.steps > 0 &&
      out.save.steps % out.evaluate.steps != 0) {  // shares were rounded to steps
    throw Error(loaded.where("trainer_args.load_best_model_at_end"),
                fmt::format("a checkpoint every {} steps and an evaluation every {}: most "
                            "checkpoints would have none",
                            out.save.steps, out.evaluate.steps),
                "give steps, save_steps a multiple of eval_steps");
  }
  return out;
}

}  // namespace lmms::train
