#include "objectives/objective.h"

#include <algorithm>

#include "objectives/interpolant_objective.h"
#include "objectives/masked_diffusion.h"

namespace lmms::objectives {
namespace {

double count_in(const data::TermCounts& counts, const std::string& name) {
  const auto found = counts.find(name);
  return found == counts.end() ? 0 : found->second;
}

ObjectiveEntry next_token_entry() {
  return {.make = [](const ObjectiveSetup& setup) { return next_token(setup.options); },
          .is_log_likelihood = true};
}

}  // namespace

void set_loading(const Objective& objective, uint64_t seed, data::LoaderOptions& options) {
  options.draws = {objective.drawing(), seed};
  options.policies.needs_targets = objective.needs_targets();
}

double count_of(const Term& term, const data::Batch& micro_step) {
  return term.counted_as.empty() ? static_cast<double>(micro_step.supervised_tokens)
                                 : count_in(micro_step.counts, term.counted_as);
}

double count_of(const Term& term, const data::StepBatch& step) {
  return term.counted_as.empty() ? static_cast<double>(step.supervised_tokens)
                                 : count_in(step.counts, term.counted_as);
}

std::vector<std::vector<double>> denominators_of(const Objective& objective,
                                                 const data::StepBatch& batch, int ranks) {
  const auto means = static_cast<double>(batch.micro_steps.size()) * ranks;
  std::vector<std::vector<double>> out;
  for (const data::Batch& micro : batch.micro_steps) {
    std::vector<double>& row = out.emplace_back();
    for (const Term& term : objective.terms()) {
      const double n =
          term.mean == MeanOver::step ? count_of(term, batch) : count_of(term, micro) * means;
      row.push_back(n > 0 ? n : 1);
    }
  }
  return out;
}

bool is_told(const Objective& objective, size_t term) {
  const std::vector<Term>& terms = objective.terms();
  const auto minimised =
      std::count_if(terms.begin(), terms.end(), [](const Term& t) { return t.minimised; });
  return !terms[term].minimised || minimised > 1;
}

void register_objectives(ObjectiveRegistry& registry) {
#define LMMS_TRAINER_TYPE(name, entry, help) registry.add(#name, help, entry());
#define LMMS_TRAINER_TYPE_LATER(name, help)
#include "objectives/trainer_types.def"
#undef LMMS_TRAINER_TYPE
#undef LMMS_TRAINER_TYPE_LATER
}

}  // namespace lmms::objectives
