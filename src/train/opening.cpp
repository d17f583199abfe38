#include "train/opening.h"

#include "train/answers_exhibit.h"
#include "train/evaluation.h"
#include "train/generate_setup.h"
#include "train/output_folder.h"
#include "train/registries.h"
#include "train/samples_exhibit.h"

namespace lmms::train {

std::shared_ptr<const objectives::Objective> make_objective(const LoadedConfig& loaded,
                                                            const models::Model& model,
                                                            const text::Tokenizer* tokenizer) {
  const objectives::ObjectiveEntry& entry =
      loaded.registries->objectives.at(loaded.config.trainer_type, loaded.where("trainer_type"));
  std::shared_ptr<const objectives::Objective> objective = entry.make(
      {.model = model,
       .tokenizer = tokenizer,
       .encoded = loaded.config.dataset.holds_latents(),
       .options = {.mean_of_means = loaded.config.compat.loss},
       .config = loaded.config.trainer.objective,
       .where = [&loaded](const std::string& key) { return loaded.where("trainer_args." + key); }});
  objective->check(model, loaded.where("trainer_type"));
  return objective;
}

namespace {

/// What evaluations show, as the config asks for it.
Exhibits make_exhibits(const LoadedConfig& loaded, const Place& place, const RunData& data,
                       const models::Model& model, const objectives::Objective& objective) {
  const TrainerArgs& args = loaded.config.trainer;
  Exhibits out;
  if (args.eval_generate.asks()) {
    nlohmann::json config = model.config();
    config.merge_patch(objective.checkpoint_config());
    out.push_back(answers_exhibit(make_questions(loaded, data, model, config)));
  }
  if (args.eval_sample.asks()) out.push_back(samples_exhibit(loaded, place, model));
  return out;
}

}  // namespace

OpenedRun open_run(const LoadedConfig& loaded, const Place& place) {
  ModelSource source = make_model(loaded, place);
  RunData data = open_data(loaded, source.folder, place.hub_cache);
  std::shared_ptr<const objectives::Objective> objective =
      make_objective(loaded, *source.model, data.processing.tokenizer_or_null());
  check_output_folder(loaded, source.folder, data.processing.tokenizer_folder);
  check_images(*source.model, data.processing.tokenizer, loaded);
  const TrainerArgs& args = loaded.config.trainer;
  objectives::set_loading(*objective, static_cast<uint64_t>(args.seed), data.evaluation.options);
  if (data.evaluation.dataset && (args.eval_strategy != Every::no || args.eval_on_start))
    check_evaluation(data.evaluation, *objective);
  Exhibits exhibits = make_exhibits(loaded, place, data, *source.model, *objective);
  ReferenceOpener references = reference_opener(*objective, source.folder, place);
  return {std::move(source), std::move(objective), std::move(data), std::move(references),
          std::move(exhibits)};
}

}  // namespace lmms::train
