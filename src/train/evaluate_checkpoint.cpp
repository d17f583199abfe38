#include "train/evaluate_checkpoint.h"

#include "core/error.h"
#include "objectives/objective.h"
#include "train/data_setup.h"
#include "train/generation/inference.h"
#include "train/kernel_patches.h"
#include "train/model_setup.h"

namespace lmms::train {

EvaluationResult evaluate_checkpoint(const LoadedConfig& loaded, const std::string& checkpoint,
                                     const Place& place) {
  if (!loaded.config.dataset.eval_dataset_path) {
    throw Error(loaded.where("dataset_config.eval_dataset_path"), "no evaluation data",
                "give it a file, in the config or as dataset_config.eval_dataset_path=FILE");
  }
  const std::filesystem::path folder = locate_model(checkpoint, place.hub_cache);
  const RunProcessor processing = open_processor(loaded, folder, place.hub_cache);
  const EvaluationData data = open_evaluation(loaded, processing);
  check_evaluation(data);
  const TrainerArgs& args = loaded.config.trainer;
  const c10::Device device = open_device(args.use_cpu, place);
  const Network network =
      load_network(folder, args.bf16 ? at::kBFloat16 : at::kFloat, device, &loaded);
  const auto objective = objectives::next_token();
  objective->check(*network.model, folder.string());
  check_images(*network.model, processing.tokenizer, loaded);
  return *evaluate({*network.model, device, kernel_set(loaded.config)}, *objective, data,
                   [] { return false; });
}

}  // namespace lmms::train
