#include "train/evaluate_checkpoint.h"

#include "core/error.h"
#include "generate/inference.h"
#include "objectives/objective.h"
#include "train/data_setup.h"
#include "train/kernel_patches.h"
#include "train/model_setup.h"
#include "train/opening.h"
#include "train/registries.h"

namespace lmms::train {

EvaluationResult evaluate_checkpoint(const LoadedConfig& loaded, const std::string& checkpoint,
                                     const Place& place) {
  if (!loaded.config.dataset.eval_dataset_path) {
    throw Error(loaded.where("dataset_config.eval_dataset_path"), "no evaluation data",
                "give it a file, in the config or as dataset_config.eval_dataset_path=FILE");
  }
  const std::filesystem::path folder = generate::locate_model(checkpoint, place.hub_cache);
  const RunProcessor processing = open_processor(loaded, folder, place.hub_cache);
  EvaluationData data = open_evaluation(loaded, processing);
  const TrainerArgs& args = loaded.config.trainer;
  const c10::Device device = kernels::open_device(place.device(args.use_cpu));
  const step::Network network =
      step::load_network(loaded.registries->models, folder, args.bf16 ? at::kBFloat16 : at::kFloat,
                         device, config_overwrite(loaded));
  const auto objective = make_objective(loaded, *network.model, processing.tokenizer_or_null());
  objectives::set_loading(*objective, static_cast<uint64_t>(args.seed), data.options);
  check_evaluation(data, *objective);
  check_images(*network.model, processing.tokenizer, loaded);
  const auto references = reference_opener(*objective, folder, place)(device);
  EvaluationRun run;
  for (const step::ReferenceNetwork& reference : references)
    run.others.push_back({reference.name, reference.model.get()});
  return *evaluate({*network.model, device, kernel_set(loaded)}, *objective, data, run);
}

}  // namespace lmms::train
