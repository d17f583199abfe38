#pragma once
/// eval_loss: over the whole evaluation set.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "objectives/objective.h"
#include "step/control_plane.h"
#include "step/forward_model.h"
#include "train/data_setup.h"

namespace lmms::train {

struct EvaluationResult {
  /// Mean over supervised tokens, nats; of several terms that are minimised their sum.
  double loss = 0;
  /// Means of the terms that are told beside it (objectives::is_told) and that the objective
  /// evaluates.
  std::map<std::string, double> terms;
  /// Of one pass over the set.
  int64_t tokens = 0, supervised_tokens = 0, samples = 0;
  double seconds = 0;
  int64_t skipped_samples = 0;

  /// Objective::is_log_likelihood
  bool is_log_likelihood = true;

  /// exp(loss), or exp of a term named "bound" where there is one: a bound on the mean negative
  /// log-likelihood that the loss is not. Nothing where the loss is of another kind.
  std::optional<double> perplexity() const;
};

/// How a pass stands among others' work.
struct EvaluationRun {
  /// Asked before every batch; true ends the pass without a result. Asked equally often on all
  /// ranks, and all must get the same answer.
  std::function<bool()> stop = [] { return false; };
  step::ControlPlane* control = nullptr;  ///< of several ranks; null: this one is alone
  /// Of a micro-step that finds no memory; absent: the c10::OutOfMemoryError leaves.
  std::optional<step::Retries> retries = {};
  std::vector<objectives::NamedModel> others = {};  ///< that the objective knows beside the model
};

/// Reads the evaluation set, or its beginning if it is large (HeadLimit), as evaluate() will,
/// pixels included. Throws Error for a record that a policy does not let pass, and for a set that
/// is read whole and has nothing that the objective trains.
void check_evaluation(const EvaluationData& data, const objectives::Objective& objective);

/// As many passes without gradients as the objective asks for; records that were skipped or cut are
/// logged. All ranks run the same
/// number of micro-steps. Throws Error as check_evaluation does, and std::logic_error if the loader
/// options have other ranks than `run.control`.
std::optional<EvaluationResult> evaluate(const step::ForwardModel& forward,
                                         const objectives::Objective& objective,
                                         const EvaluationData& data, const EvaluationRun& run = {});

}  // namespace lmms::train
