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
  const auto objective = make_objective(loaded);
  objectives::set_loading(*objective, static_cast<uint64_t>(args.seed), data.options);
  check_evaluation(data, *objective);
  const c10::Device device = kernels::open_device(place.device(args.use_cpu));
  const step::Network network =
      step::load_network(loaded.registries->models, folder, args.bf16 ? at::kBFloat16 : at::kFloat,
                         device, config_overwrite(loaded));
  objective->check(*network.model, folder.string());
  check_images(*network.model, processing.tokenizer, loaded);
  return *evaluate({*network.model, device, kernel_set(loaded)}, *objective, data);
}

}  // namespace lmms::train
