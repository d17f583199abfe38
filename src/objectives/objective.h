#pragma once
/// What is minimised. An objective is a list of phases: each turns micro-steps into terms of a
/// loss, and their gradients train one network. It asks models for capabilities.
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/registry.h"
#include "data/draws.h"
#include "data/loader.h"
#include "models/model.h"
#include "objectives/config.h"
#include "objectives/step_context.h"

namespace lmms::text {
class Tokenizer;
}

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
  /// false: told in metrics and evaluations beside the loss, and no part of it.
  bool minimised = true;
};

/// A part of a step with an update of its own.
struct Phase {
  std::string network;  ///< whose weights it trains; those of others get no gradient meanwhile
  /// One micro-step: forward, context.backward, and context.add for each term it has.
  std::function<void(StepContext&)> run;
};

/// A network that computes beside those that train and never changes: an autoencoder, a teacher.
/// Its memory is planned with theirs; no checkpoint holds it.
struct Reference {
  std::string name;        ///< as StepContext::model calls it
  std::string checkpoint;  ///< its folder, or its name on the hub
  std::string where;       ///< the user named it there
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
  /// The other networks that it needs.
  virtual std::vector<Reference> references() const { return {}; }
  /// Keys of config.json without which its checkpoints cannot be used ({"mask_token_id": 7}): part
  /// of every checkpoint that it trains.
  virtual nlohmann::json checkpoint_config() const { return nlohmann::json::object(); }
  /// Passes over the evaluation set, each under draws of its own that are the same at every
  /// evaluation; what is shown is their mean.
  virtual int64_t evaluation_passes() const { return 1; }
  /// Whether its loss is the mean negative log-likelihood of a token, or a bound on it: exp of it
  /// is a perplexity then.
  virtual bool is_log_likelihood() const { return false; }
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

/// Whether metrics tell a term beside the loss: all but the only one that is minimised, which is
/// the loss.
bool is_told(const Objective& objective, size_t term);

/// Settings of an objective.
struct ObjectiveOptions {
  bool mean_of_means = false;  ///< terms are MeanOver::micro_steps (compat: loss)
};

/// All that an objective is made of.
struct ObjectiveSetup {
  const models::Model& model;                  ///< the structure, perhaps without memory
  const text::Tokenizer* tokenizer = nullptr;  ///< null: the data are no texts
  bool encoded = false;                        ///< the data are latents already
  ObjectiveOptions options = {};
  ObjectiveConfig config = {};
  /// Where a key of trainer_args stands ("masked_diffusion.mask_token"), for errors.
  std::function<std::string(const std::string& key)> where = [](const std::string& key) {
    return "trainer_args." + key;
  };
};

/// Throws Error if the model lacks a capability that the objective needs, or a setting fits neither
/// it nor the tokenizer.
using ObjectiveFactory = std::unique_ptr<Objective> (*)(const ObjectiveSetup&);

struct ObjectiveEntry {
  ObjectiveFactory make;
  /// Names of its terms where there are several, minimised or not: evaluations tell each as
  /// eval_NAME.
  std::vector<std::string> terms = {};
  bool draws = false;              ///< has a Drawing: what is trained shows only under it
  bool is_log_likelihood = false;  ///< as Objective::is_log_likelihood
};

/// By trainer_type.
using ObjectiveRegistry = Registry<ObjectiveEntry>;
/// Adds those of trainer_types.def that are built.
void register_objectives(ObjectiveRegistry& registry);

/// Cross entropy of the next token, weighted per target.
std::unique_ptr<Objective> next_token(const ObjectiveOptions& options = {});

}  // namespace lmms::objectives
