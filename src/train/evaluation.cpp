#include "train/evaluation.h"

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>

#include "core/error.h"
#include "core/format.h"
#include "core/log.h"
#include "data/head_limit.h"
#include "step/device_batch.h"

namespace lmms::train {
namespace {

Error nothing_supervised(const EvaluationData& data, const data::SkipCounts& skipped) {
  const std::string counts = skipped.text();
  return {data.where, "the evaluation set has no token that is trained",
          "check the roles of its records, on_bad_sample and on_overlong" +
              (counts.empty() ? "" : ": " + counts)};
}

// Once: what was evaluated as it should be, and may not mean what the user thinks.
void warn_of(const data::SkipCounts& skipped, int64_t longest, std::optional<int64_t> known) {
  if (const std::string counts = skipped.text(); !counts.empty())
    log::warn_once("of the evaluation set, " + counts);
  if (known && longest > *known) {
    log::warn_once(fmt::format(
        "a sample of the evaluation set has {} tokens; the model knows positions up to {} "
        "(max_position_embeddings). dataset_config.max_length would limit them",
        longest, *known));
  }
}

/// Sums over micro-steps, in fp64: thousands of them add up. With one term the loss is it.
struct Sums {
  explicit Sums(size_t terms) : of(terms) {}

  void add(const objectives::StepValues& values) {
    for (size_t t = 0; t < of.size(); ++t) {
      const at::Tensor& value = of.size() == 1 ? values.loss : values.terms[t];
      if (!value.defined()) continue;
      const at::Tensor wide = value.to(at::kDouble);
      of[t] = of[t].defined() ? of[t] + wide : wide;
    }
  }
  /// The sum of each term, then whether anything was added to it, 1 or 0: what ranks add up.
  std::vector<double> values() const {
    std::vector<double> out;
    for (const at::Tensor& sum : of) out.push_back(sum.defined() ? sum.item<double>() : 0);
    for (const at::Tensor& sum : of) out.push_back(sum.defined() ? 1 : 0);
    return out;
  }

  std::vector<at::Tensor> of;
};

/// Of the draws of a pass.
uint64_t seed_of_pass(uint64_t seed, int64_t pass) {
  return seed + static_cast<uint64_t>(pass) * 0x9E3779B97F4A7C15u;
}

}  // namespace

std::optional<double> EvaluationResult::perplexity() const {
  if (!is_log_likelihood) return std::nullopt;
  const auto bound = terms.find("bound");
  return std::exp(bound == terms.end() ? loss : bound->second);
}

void check_evaluation(const EvaluationData& data, const objectives::Objective& objective) {
  const data::HeadLimit limit;
  data::LoaderOptions options = data.options;
  options.ranks = nullptr;  // each alone: the limit is a clock, which differs among them
  options.global_rows = std::min<int64_t>(options.global_rows, 8);
  options.rows_per_micro_step = options.global_rows;
  data::Loader loader(data.dataset, data.processor, options);
  data::SkipCounts skipped;
  bool supervised = false;
  for (int64_t rows = 0; const auto step = loader.next();) {
    rows += options.global_rows;
    supervised = supervised || objectives::has_any_term(objective, *step);
    skipped = step->skipped;
    if (rows < loader.rows_per_epoch() && limit.reached(rows)) return;
  }
  if (!supervised) throw nothing_supervised(data, skipped);
}

std::optional<EvaluationResult> evaluate(const step::ForwardModel& forward,
                                         const objectives::Objective& objective,
                                         const EvaluationData& data, const EvaluationRun& run) {
  const auto start = std::chrono::steady_clock::now();
  const c10::NoGradGuard no_grad;
  const int32_t ranks = run.control != nullptr ? run.control->count() : 1;
  const int32_t readers = data.options.ranks ? data.options.ranks->count() : 1;
  if (ranks != readers) {
    throw std::logic_error(fmt::format(
        "an evaluation of {} ranks is read for {}: sums and counts would differ", ranks, readers));
  }
  const bool alone = ranks == 1;
  const std::vector<objectives::Term>& terms = objective.terms();
  const std::vector<double> undivided(terms.size(), 1.0);
  std::vector<objectives::NamedModel> models{{objectives::kMainNetwork, &forward.model}};
  models.insert(models.end(), run.others.begin(), run.others.end());
  const auto values_of = [&](const data::Batch& batch) {
    const nn::Batch on_device =
        step::to_device(batch, undivided.front(), step::id_limit(forward.model), forward.device);
    objectives::StepValues values;
    values.terms.resize(terms.size());
    objectives::StepContext context({.models = models,
                                     .batch = on_device,
                                     .run = forward.context,
                                     .denominators = undivided,
                                     .gradients = false},
                                    values);
    objective.evaluate(context);
    return values;
  };

  data::SkipCounts skipped;
  EvaluationResult result;
  result.is_log_likelihood = objective.is_log_likelihood();
  int64_t longest = 0;  // sample
  Sums sums(terms.size());
  std::vector<double> counts(terms.size(), 0.0);
  const auto forward_on = [&](const data::Batch& batch) {
    if (alone && !objectives::has_any_term(objective, batch)) return;
    for (const data::Segment& segment : batch.segments)
      longest = std::max<int64_t>(longest, segment.length);
    objectives::StepValues values;
    const auto forward_once = [&] { values = values_of(batch); };
    if (run.retries && run.control != nullptr) {
      run.control->until_memory_suffices(forward_once, *run.retries);
    } else {
      forward_once();
    }
    sums.add(values);
  };
  for (int64_t pass = 0; pass < objective.evaluation_passes(); ++pass) {
    data::LoaderOptions options = data.options;
    options.draws.seed = seed_of_pass(options.draws.seed, pass);
    data::Loader loader(data.dataset, data.processor, options);
    for (;;) {
      if (run.stop()) return std::nullopt;
      const auto step = loader.next();
      if (!step) break;
      for (const data::Batch& batch : step->micro_steps) forward_on(batch);
      for (size_t t = 0; t < terms.size(); ++t) counts[t] += objectives::count_of(terms[t], *step);
      if (pass > 0) continue;  // the same samples
      skipped = step->skipped;
      result.tokens += step->tokens;
      result.supervised_tokens += step->supervised_tokens;
      result.samples += step->samples;
    }
  }
  if (std::none_of(counts.begin(), counts.end(), [](double n) { return n > 0; }))
    throw nothing_supervised(data, skipped);
  warn_of(skipped, longest, step::known_positions(forward.model.config()));
  std::vector<double> totals = sums.values();
  if (!alone) totals = run.control->sums(totals);
  for (size_t t = 0; t < terms.size(); ++t) {
    if (totals[terms.size() + t] == 0) continue;  // of a phase that is not evaluated
    const double mean = counts[t] > 0 ? totals[t] / counts[t] : 0;
    if (terms[t].minimised) result.loss += mean;
    if (objectives::is_told(objective, t)) result.terms[terms[t].name] = mean;
  }
  result.skipped_samples = skipped.total();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace lmms::train
