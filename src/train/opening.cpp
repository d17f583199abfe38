#include "train/opening.h"

#include "train/evaluation.h"
#include "train/kernel_patches.h"
#include "train/output_folder.h"

namespace lmms::train {

OpenedRun open_run(const LoadedConfig& loaded, const Place& place) {
  ModelSource source = make_model(loaded, place);
  std::unique_ptr<objectives::Objective> objective = objectives::next_token();
  check_patches(loaded, source.model->params());
  objective->check(*source.model, loaded.where("trainer_type"));
  RunData data = open_data(loaded, source.folder, place.hub_cache);
  check_output_folder(loaded, source.folder, data.processing.tokenizer_folder);
  check_images(*source.model, data.processing.tokenizer, loaded);
  const TrainerArgs& args = loaded.config.trainer;
  if (data.evaluation.dataset && (args.eval_strategy != Every::no || args.eval_on_start))
    check_evaluation(data.evaluation);
  std::optional<Questions> questions;
  if (args.eval_generate.asks()) questions.emplace(loaded, data, *source.model);
  return {std::move(source), std::move(objective), std::move(data), std::move(questions)};
}

}  // namespace lmms::train
