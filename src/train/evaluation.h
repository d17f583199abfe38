#pragma once
/// eval_loss: over all supervised tokens of the whole evaluation set.
#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <optional>

#include "objectives/objective.h"
#include "train/data_setup.h"

namespace lmms::train {

struct EvaluationResult {
  double loss = 0;  ///< mean over supervised tokens, nats
  int64_t tokens = 0, supervised_tokens = 0, samples = 0;
  double seconds = 0;
  int64_t skipped_samples = 0;

  double perplexity() const;  ///< exp(loss)
};

/// One pass without gradients. `stop` is asked before every batch; true ends the pass without a
/// result. Throws Error if the set has no supervised token.
std::optional<EvaluationResult> evaluate(const models::Model& model,
                                         const objectives::Objective& objective,
                                         const EvaluationData& data,
                                         std::shared_ptr<const data::Processor> processor,
                                         c10::Device device, const std::function<bool()>& stop);

}  // namespace lmms::train
