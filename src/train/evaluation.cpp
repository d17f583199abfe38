#include "train/evaluation.h"

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/format.h"
#include "core/log.h"
#include "train/device_batch.h"
#include "train/head_limit.h"

namespace lmms::train {
namespace {

Error nothing_supervised(const EvaluationData& data, const data::SkipCounts& skipped) {
  const std::string counts = skipped.text();
  return {data.where, "the evaluation set has no token that is trained",
          "check the roles of its records, on_bad_sample and on_overlong" +
              (counts.empty() ? "" : ": " + counts)};
}

// Told once: what was evaluated as it should be, and may not mean what the user thinks.
void tell(const data::SkipCounts& skipped, int64_t longest, std::optional<int64_t> known) {
  if (const std::string counts = skipped.text(); !counts.empty())
    log::warn_once("of the evaluation set, " + counts);
  if (known && longest > *known) {
    log::warn_once(fmt::format(
        "a sample of the evaluation set has {} tokens; the model knows positions up to {} "
        "(max_position_embeddings). dataset_config.max_length would limit them",
        longest, *known));
  }
}

}  // namespace

double EvaluationResult::perplexity() const {
  return std::exp(loss);
}

void check_evaluation(const EvaluationData& data) {
  const HeadLimit limit;
  data::LoaderOptions options = data.options;
  options.global_rows = std::min<int64_t>(options.global_rows, 8);
  options.rows_per_micro_step = options.global_rows;
  data::Loader loader(data.dataset, data.processor, options);
  data::SkipCounts skipped;
  bool supervised = false;
  for (int64_t rows = 0; const auto step = loader.next();) {
    rows += options.global_rows;
    supervised = supervised || step->supervised_tokens > 0;
    skipped = step->skipped;
    if (rows < loader.rows_per_epoch() && limit.reached(rows)) return;
  }
  if (!supervised) throw nothing_supervised(data, skipped);
}

std::optional<EvaluationResult> evaluate(const ForwardModel& forward,
                                         const objectives::Objective& objective,
                                         const EvaluationData& data,
                                         const std::function<bool()>& stop) {
  const auto start = std::chrono::steady_clock::now();
  const c10::NoGradGuard no_grad;
  const int64_t vocab_size = forward.language_model().vocab_size();
  data::Loader loader(data.dataset, data.processor, data.options);
  data::SkipCounts skipped;
  EvaluationResult result;
  int64_t longest = 0;  // sample
  at::Tensor sum;       // fp64: thousands of batches add up
  for (;;) {
    if (stop()) return std::nullopt;
    const auto step = loader.next();
    if (!step) break;
    skipped = step->skipped;
    for (const data::Batch& batch : step->micro_steps) {
      if (batch.supervised_tokens == 0) continue;
      for (const data::Segment& segment : batch.segments)
        longest = std::max<int64_t>(longest, segment.length);
      const nn::Batch on_device = to_device(batch, /*denominator=*/1.0, vocab_size, forward.device);
      const at::Tensor loss =
          objective.losses(forward.model, on_device, forward.context).total.to(at::kDouble);
      sum = sum.defined() ? sum + loss : loss;
    }
    result.tokens += step->tokens;
    result.supervised_tokens += step->supervised_tokens;
    result.samples += step->samples;
  }
  if (!sum.defined()) throw nothing_supervised(data, skipped);
  tell(skipped, longest, known_positions(forward.model.config()));
  result.loss = sum.item<double>() / static_cast<double>(result.supervised_tokens);
  result.skipped_samples = skipped.total();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace lmms::train
