#include "train/best_model.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint_dir.h"
#include "core/format.h"
#include "core/log.h"
#include "train/answers_exhibit.h"
#include "train/recorder.h"
#include "train/registries.h"

namespace lmms::train {
namespace {

constexpr std::string_view kPrefix = "eval_";
constexpr std::string_view kExact = kExactField;

nlohmann::json number(double x) {
  return std::isfinite(x) ? nlohmann::json(x) : nlohmann::json(fmt::format("{}", x));
}

double number_from(const nlohmann::json& json) {
  return json.is_string() ? std::strtod(json.get_ref<const std::string&>().c_str(), nullptr)
                          : json.get<double>();
}

double worst_of(const BestMetric& metric) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return metric.greater ? -kInfinity : kInfinity;
}

nlohmann::json to_json(const std::optional<Evaluated>& evaluated) {
  if (!evaluated) return {};
  return {{"value", number(evaluated->value)}, {"step", evaluated->step}};
}

std::optional<Evaluated> evaluated_from(const nlohmann::json& json) {
  if (json.is_null()) return std::nullopt;
  return Evaluated{number_from(json.at("value")), json.at("step").get<int64_t>()};
}

}  // namespace

// All others are parts of what is minimised, or grow with it.
bool is_share_of_right(std::string_view field) {
  return field == kExact || field.ends_with("accuracy");
}

bool seeks_best(const TrainerArgs& args) {
  return args.best.load_best_model_at_end || args.best.early_stopping_patience ||
         args.best.metric_for_best_model || args.save_strategy == SaveStrategy::best;
}

BestMetric best_metric(const BestModelConfig& config) {
  std::string name = config.metric_for_best_model.value_or("loss");
  if (!name.starts_with(kPrefix)) name.insert(0, kPrefix);
  const bool greater = config.greater_is_better.value_or(is_share_of_right(name));
  return {std::move(name), greater};
}

std::vector<std::string> evaluation_metrics(const TrainConfig& config,
                                            const Registries& registries) {
  std::vector<std::string> out;
  if (config.dataset.eval_dataset_path) {
    out = {"eval_loss"};
    const auto* entry = registries.objectives.find(config.trainer_type);
    if (entry == nullptr || entry->is_log_likelihood) out.emplace_back("eval_perplexity");
    if (entry != nullptr)
      for (const std::string& term : entry->terms) out.push_back("eval_" + term);
  }
  if (config.trainer.eval_generate.rows > 0) out.emplace_back(kExact);
  return out;
}

std::optional<double> value_of(const Evaluation& evaluation, const std::string& field) {
  if (field == kExact) {
    for (const Shown& shown : evaluation.shown)
      if (const auto value = shown.metric(field)) return value;
    return std::nullopt;
  }
  if (!evaluation.result || !field.starts_with(kPrefix)) return std::nullopt;
  const EvaluationResult& result = *evaluation.result;
  if (field == "eval_loss") return result.loss;
  if (field == "eval_perplexity") return result.perplexity();
  const auto term = result.terms.find(field.substr(kPrefix.size()));
  return term == result.terms.end() ? std::nullopt : std::optional(term->second);
}

void BestState::observe(const Evaluated& evaluated, double threshold) {
  const double worst = worst_of(metric);
  const double before = best ? best->value : worst;
  const bool improved = metric.better(evaluated.value, before);
  // the first one counts as an improvement whatever it is, as in the source
  if (!best || (improved && std::abs(evaluated.value - before) > threshold)) {
    without_improvement = 0;
  } else {
    ++without_improvement;
  }
  if (improved) {
    best = evaluated;
  } else if (!best) {
    best = Evaluated{worst, evaluated.step};
  }
  last = evaluated;
}

void BestState::keep_last() {
  if (last && metric.better(last->value, checkpoint ? checkpoint->value : worst_of(metric)))
    checkpoint = last;
}

bool seen_enough(const BestState& state, const BestModelConfig& config) {
  return config.early_stopping_patience &&
         state.without_improvement >= *config.early_stopping_patience;
}

std::string why_enough(const BestState& state) {
  const int64_t n = state.without_improvement;
  std::string text = fmt::format("{} has not improved for {}", state.metric.field,
                                 n == 1 ? "an evaluation" : fmt::format("{} evaluations", n));
  if (state.best && std::isfinite(state.best->value))
    text += fmt::format("; its best is {:.4g}, at step {}", state.best->value, state.best->step);
  return text;
}

nlohmann::json to_json(const BestState& state) {
  return {{"metric", state.metric.field},
          {"greater_is_better", state.metric.greater},
          {"last", to_json(state.last)},
          {"best", to_json(state.best)},
          {"checkpoint", to_json(state.checkpoint)},
          {"without_improvement", state.without_improvement}};
}

BestState best_state_from(const nlohmann::json& json) {
  BestState state;
  json.at("metric").get_to(state.metric.field);
  json.at("greater_is_better").get_to(state.metric.greater);
  state.last = evaluated_from(json.at("last"));
  state.best = evaluated_from(json.at("best"));
  state.checkpoint = evaluated_from(json.at("checkpoint"));
  json.at("without_improvement").get_to(state.without_improvement);
  return state;
}

std::optional<BestState> best_state_for(const TrainerArgs& args,
                                        const std::optional<BestState>& saved) {
  if (!seeks_best(args)) return std::nullopt;
  const BestMetric metric = best_metric(args.best);
  if (!saved || saved->metric != metric) return BestState{.metric = metric};
  BestState state = *saved;
  if (!state.checkpoint) return state;
  const int64_t step = state.checkpoint->step;
  const std::filesystem::path path = checkpoint::checkpoint_path(args.output_dir, step);
  if (const auto fault = checkpoint::incomplete(path, step)) {
    log::warning(fmt::format(
        "the best checkpoint so far is gone: {}; the best of the checkpoints from here on is kept",
        fault->text()));
    state.checkpoint.reset();
  }
  return state;
}

}  // namespace lmms::train
