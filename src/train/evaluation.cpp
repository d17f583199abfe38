#include "train/evaluation.h"

#include <ATen/TensorOperators.h>
#include <c10/core/GradMode.h>

#include <chrono>
#include <cmath>

#include "core/error.h"
#include "train/device_batch.h"

namespace lmms::train {

double EvaluationResult::perplexity() const {
  return std::exp(loss);
}

std::optional<EvaluationResult> evaluate(const models::Model& model,
                                         const objectives::Objective& objective,
                                         const EvaluationData& data,
                                         std::shared_ptr<const data::Processor> processor,
                                         c10::Device device, const std::function<bool()>& stop) {
  const auto start = std::chrono::steady_clock::now();
  const c10::NoGradGuard no_grad;
  const int64_t vocab_size = model.language_model()->vocab_size();
  data::EvaluationLoader loader(data.dataset, std::move(processor), data.options);
  EvaluationResult result;
  at::Tensor sum;  // fp64: thousands of batches add up
  for (;;) {
    if (stop()) return std::nullopt;
    const auto batch = loader.next();
    if (!batch) break;
    if (batch->supervised_tokens == 0) continue;
    const nn::Batch on_device = to_device(*batch, /*denominator=*/1.0, vocab_size, device);
    const at::Tensor loss = objective.losses(model, on_device, {}).total.to(at::kDouble);
    sum = sum.defined() ? sum + loss : loss;
    result.tokens += batch->valid_tokens;
    result.supervised_tokens += batch->supervised_tokens;
    result.samples += batch->samples;
  }
  if (!sum.defined()) {
    throw Error("dataset_config.eval_dataset_path",
                "the evaluation set has no token that is trained",
                "check its roles and on_overlong policy: " + loader.skipped().text());
  }
  result.loss = sum.item<double>() / static_cast<double>(result.supervised_tokens);
  result.skipped_samples = loader.skipped().total();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace lmms::train
