// Rules between the keys that say which evaluation is the best, and what follows of it.
#include <algorithm>
#include <cmath>

#include "core/format.h"
#include "core/nearest.h"
#include "optim/metric_schedule.h"
#include "train/best_model.h"
#include "train/config_validate.h"

namespace lmms::train {
namespace {

const std::string kLoad = "trainer_args.load_best_model_at_end";
const std::string kMetric = "trainer_args.metric_for_best_model";
const std::string kPatience = "trainer_args.early_stopping_patience";
const std::string kSave = "trainer_args.save_strategy";
constexpr std::string_view kPrefix = "eval_";

std::string bare(const std::string& field) {
  return field.starts_with(kPrefix) ? field.substr(kPrefix.size()) : field;
}

void check_metric(const TrainConfig& config, const Registries& registries, const Checker& check) {
  const std::vector<std::string> known = evaluation_metrics(config, registries);
  const std::string wanted = best_metric(config.trainer.best).field;
  if (std::find(known.begin(), known.end(), wanted) != known.end()) return;
  if (!config.dataset.eval_dataset_path) {
    if (!seeks_best(config.trainer)) return;  // check_schedule has said it
    std::string key = kSave;
    for (const std::string& asks : {kPatience, kLoad, kMetric})
      if (check.given(asks)) key = asks;
    return check.fault({key, "dataset_config.eval_dataset_path", "trainer_args.eval_strategy"},
                       fmt::format("without evaluation data there is no {}; expected "
                                   "dataset_config.eval_dataset_path",
                                   wanted));
  }
  if (wanted == "eval_exact") {
    return check.fault(
        {kMetric, "trainer_args.eval_generate"},
        "got 'exact', the share of answers that are right; expected "
        "trainer_args.eval_generate: {rows: N} beside it, for N rows to be answered");
  }
  std::vector<std::string> names;
  for (const std::string& field : known) names.push_back(bare(field));
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  const auto near = nearest_name(bare(wanted), names);
  check.fault({kMetric}, fmt::format("got '{}'; expected one of {}{}",
                                     *config.trainer.best.metric_for_best_model, list,
                                     near ? fmt::format("; did you mean '{}'?", *near) : ""));
}

/// Whether `save` is a whole number of times `evaluate`; shares of all steps to a millionth.
bool is_multiple(double save, double evaluate) {
  const double unit = save < 1 ? 1e-6 : 1;
  return std::llround(save / unit) % std::max<int64_t>(1, std::llround(evaluate / unit)) == 0;
}

template <class E>
std::string_view name_of(E value) {
  for (const config::EnumName<E>& entry : enum_names(E{}))
    if (entry.value == value) return entry.name;
  return "";
}

/// Every checkpoint has to have an evaluation of its own.
void check_rhythm(const TrainerArgs& args, const Checker& check) {
  if (args.save_strategy == SaveStrategy::best) return;
  const std::string_view evaluates = name_of(args.eval_strategy),
                         saves = name_of(args.save_strategy);
  if (saves != evaluates) {
    return check.fault(
        {kLoad, "trainer_args.eval_strategy", "trainer_args.save_strategy"},
        fmt::format(
            "every checkpoint needs an evaluation of its own, but eval_strategy is {}{} and "
            "save_strategy is {}{}; expected the same of both",
            evaluates, check.place_of("trainer_args.eval_strategy"), saves,
            check.place_of("trainer_args.save_strategy")));
  }
  if (args.eval_strategy != Every::steps) return;
  const double evaluate = args.eval_steps.value_or(args.logging_steps), save = args.save_steps;
  const std::string both = fmt::format(
      "save_steps is {}{} and {} is {}{}", save, check.place_of("trainer_args.save_steps"),
      args.eval_steps ? "eval_steps" : "eval_steps (absent: logging_steps)", evaluate,
      check.place_of(args.eval_steps ? "trainer_args.eval_steps" : "trainer_args.logging_steps"));
  const std::initializer_list<std::string> keys{
      kLoad, "trainer_args.save_steps", "trainer_args.eval_steps", "trainer_args.logging_steps"};
  if ((save < 1) != (evaluate < 1)) {
    check.fault(keys, fmt::format("every checkpoint needs an evaluation of its own, but {}; "
                                  "expected both in steps, or both a share of all steps",
                                  both));
  } else if (!is_multiple(save, evaluate)) {
    const double times = std::max(1.0, std::round(save / evaluate));
    check.fault(keys, fmt::format("every checkpoint needs an evaluation of its own, but {}; "
                                  "expected save_steps a multiple of eval_steps, such as {:g}",
                                  both, times * evaluate));
  }
}

}  // namespace

void check_best_model(const TrainConfig& config, const Registries& registries,
                      const Checker& check) {
  const TrainerArgs& args = config.trainer;
  const BestModelConfig& best = args.best;
  const bool follows = optim::follows_metric(args.schedule.lr_scheduler_type);
  if (args.eval_strategy == Every::no) {
    for (const auto& [asks, key] : {std::pair(best.load_best_model_at_end, &kLoad),
                                    std::pair(best.early_stopping_patience.has_value(), &kPatience),
                                    std::pair(args.save_strategy == SaveStrategy::best, &kSave)}) {
      if (asks)
        check.fault({*key, "trainer_args.eval_strategy"},
                    "goes by evaluations; expected eval_strategy: steps or epoch, and "
                    "dataset_config.eval_dataset_path");
    }
    return;
  }
  if (seeks_best(args) || follows) check_metric(config, registries, check);
  if (best.load_best_model_at_end) check_rhythm(args, check);
  const std::string mode = args.schedule.lr_scheduler_kwargs.mode.value_or("min");
  const BestMetric metric = best_metric(best);
  if (follows && best.metric_for_best_model && metric.greater != (mode == "max")) {
    check.fault({"trainer_args.lr_scheduler_kwargs.mode", kMetric},
                fmt::format("{}, but of {} a {} value is better; expected lr_scheduler_kwargs: "
                            "{{mode: {}}}",
                            mode, metric.field, metric.greater ? "greater" : "smaller",
                            metric.greater ? "max" : "min"));
  }
}

}  // namespace lmms::train
