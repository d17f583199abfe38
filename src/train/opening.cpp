#include "train/opening.h"

#include "train/evaluation.h"
#include "train/generate_setup.h"
#include "train/output_folder.h"
#include "train/registries.h"

namespace lmms::train {

std::shared_ptr<const objectives::Objective> make_objective(const LoadedConfig& loaded) {
  const auto& make =
      loaded.registries->objectives.at(loaded.config.trainer_type, loaded.where("trainer_type"));
  return make({.mean_of_means = loaded.config.compat.loss});
}

OpenedRun open_run(const LoadedConfig& loaded, const Place& place) {
  ModelSource source = make_model(loaded, place);
  std::shared_ptr<const objectives::Objective> objective = make_objective(loaded);
  objective->check(*source.model, loaded.where("trainer_type"));
  RunData data = open_data(loaded, source.folder, place.hub_cache);
  check_output_folder(loaded, source.folder, data.processing.tokenizer_folder);
  check_images(*source.model, data.processing.tokenizer, loaded);
  const TrainerArgs& args = loaded.config.trainer;
  objectives::set_loading(*objective, static_cast<uint64_t>(args.seed), data.evaluation.options);
  if (data.evaluation.dataset && (args.eval_strategy != Every::no || args.eval_on_start))
    check_evaluation(data.evaluation, *objective);
  std::optional<generate::Questions> questions;
  if (args.eval_generate.asks()) questions = make_questions(loaded, data, *source.model);
  return {std::move(source), std::move(objective), std::move(data), std::move(questions)};
}

}  // namespace lmms::train
