#pragma once
/// eval_loss: over all supervised tokens of the whole evaluation set.
#include <functional>
#include <optional>

#include "objectives/objective.h"
#include "train/data_setup.h"
#include "train/forward_model.h"

namespace lmms::train {

struct EvaluationResult {
  double loss = 0;  ///< mean over supervised tokens, nats
  int64_t tokens = 0, supervised_tokens = 0, samples = 0;
  double seconds = 0;
  int64_t skipped_samples = 0;

  double perplexity() const;  ///< exp(loss)
};

/// Reads the evaluation set, or its beginning if it is large (HeadLimit), as evaluate() will,
/// pixels included. Throws Error for a record that a policy does not let pass, and for a set that
/// is read whole and has no supervised token.
void check_evaluation(const EvaluationData& data);

/// One pass without gradients; records that were skipped or cut are told of. `stop` is asked before
/// every batch; true ends the pass without a result. Throws Error as check_evaluation does.
std::optional<EvaluationResult> evaluate(const ForwardModel& forward,
                                         const objectives::Objective& objective,
                                         const EvaluationData& data,
                                         const std::function<bool()>& stop);

}  // namespace lmms::train
