#pragma once
/// What is minimised. An objective is a list of phases: each turns micro-steps into terms of a
/// loss, and their gradients train one network. It asks models for capabilities.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/registry.h"
#include "data/draws.h"
#include "data/loader.h"
#include "models/model.h"
#include "objectives/step_context.h"

namespace lmms::objectives {

/// The network that a config's model_config describes, and the only one that `lmms train` makes.
/// Phases may name others: step::TrainState holds any number.
inline constexpr const char* kMainNetwork = "model";

/// What a term is a mean over.
enum class MeanOver {
  step,         ///< all that the micro-steps of all ranks count
  micro_steps,  ///< each micro-step on its own, then the micro-steps of all ranks
};

/// A term of the loss: a sum over something that the host can count, divided by its number.
struct Term {
  std::string name;  ///< in metrics, where there are several; the only one is the loss
  /// What its sum runs over: a name of data::Sample::counts (the drawing adds to it); empty: the
  /// supervised tokens.
  std::string counted_as = {};
  MeanOver mean = MeanOver::step;
};

/// A part of a step with an update of its own.
struct Phase {
  std::string network;  ///< whose weights it trains; those of others get no gradient meanwhile
  /// One micro-step: forward, context.backward, and context.add for each term it has.
  std::function<void(StepContext&)> run;
};

/// Stateless: what changes with training is in the networks.
class Objective {
 public:
  virtual ~Objective() = default;
  virtual const char* name() const = 0;
  /// Throws Error if the model lacks a capability that the objective needs.
  virtual void check(const models::Model& model, const std::string& where) const = 0;
  /// In every step in this order: all micro-steps of a phase, the update of its network, the next.
  virtual const std::vector<Phase>& phases() const = 0;
  /// At least one. A batch's weights on the device are divided by the first's denominator; another
  /// term divides by StepContext::denominator, in its weights.
  virtual const std::vector<Term>& terms() const = 0;
  /// What the loader draws for every sample, and counts; null: nothing.
  virtual std::shared_ptr<const data::Drawing> drawing() const { return nullptr; }
  /// Whether a record without supervised tokens (or without text) has nothing to train.
  virtual bool needs_targets() const { return true; }
  /// One micro-step without gradients, of the terms that evaluation shows: by default those of the
  /// first phase.
  virtual void evaluate(StepContext& context) const { phases().front().run(context); }
};

/// Makes a loader draw and keep what the objective asks for. `seed`: of the draws.
void set_loading(const Objective& objective, uint64_t seed, data::LoaderOptions& options);

/// The denominators of a step, by micro-step and term; known before anything of it is computed.
/// Where nothing is counted they are 1.
std::vector<std::vector<double>> denominators_of(const Objective& objective,
                                                 const data::StepBatch& batch, int ranks);
/// How many of what a term's sum runs over there are in a micro-step, and in a step over all ranks.
double count_of(const Term& term, const data::Batch& micro_step);
double count_of(const Term& term, const data::StepBatch& step);
/// Whether any term has something there.
template <class Batch>
bool has_any_term(const Objective& objective, const Batch& batch) {
  for (const Term& term : objective.terms())
    if (count_of(term, batch) > 0) return true;
  return false;
}

/// Settings of an objective.
struct ObjectiveOptions {
  bool mean_of_means = false;  ///< terms are MeanOver::micro_steps (compat: loss)
};

using ObjectiveFactory = std::unique_ptr<Objective> (*)(const ObjectiveOptions&);

/// Those of trainer_types.def that are built, by trainer_type.
void register_objectives(Registry<ObjectiveFactory>& registry);

/// Cross entropy of the next token, weighted per target.
std::unique_ptr<Objective> next_token(const ObjectiveOptions& options = {});

}  // namespace lmms::objectives
