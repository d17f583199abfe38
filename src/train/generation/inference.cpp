#include "train/generation/inference.h"

#include "checkpoint/checkpoint_dir.h"
#include "checkpoint/hf_folder.h"
#include "core/error.h"
#include "core/format.h"
#include "core/log.h"
#include "train/model_setup.h"

namespace lmms::train {

namespace fs = std::filesystem;

fs::path locate_model(const std::string& name, const fs::path& hub_cache) {
  const fs::path folder = checkpoint::locate_checkpoint(name, hub_cache).take();
  if (fs::exists(folder / "config.json")) return folder;
  const auto found = checkpoint::find_checkpoints(folder).complete;
  if (found.empty()) {
    throw Error(folder.string(), "no model: neither config.json nor a complete checkpoint-N",
                "name the output folder of a run, one of its checkpoints, or a model's folder");
  }
  log::notice("the newest checkpoint is taken: " + found.back().path.string());
  return found.back().path;
}

InferenceModel open_model(const std::string& name, const InferenceOptions& options,
                          const Place& place) {
  const fs::path folder = locate_model(name, place.hub_cache);
  const checkpoint::HfFolder hf = checkpoint::HfFolder::open(folder).take();
  // what is quick to fail comes first
  Prompting prompting(text::Tokenizer::load(folder).take(), hf.config(), hf.generation_config(),
                      options.prompting);
  const c10::Device device = open_device(options.use_cpu, place);
  Network network = load_network(folder, options.dtype, device);
  if (network.model->language_model() == nullptr)
    throw Error(folder.string(), "the model has no language head: it does not write text");
  const auto longest = hf.config().find("max_position_embeddings");
  InferenceModel model{
      folder,      device, std::move(network), hf.generation_config(), std::move(prompting),
      std::nullopt};
  if (longest != hf.config().end() && longest->is_number_integer())
    model.longest = longest->get<int64_t>();
  return model;
}

void warn_if_too_long(const InferenceModel& model, size_t prompt_tokens) {
  if (!model.longest || static_cast<int64_t>(prompt_tokens) < *model.longest) return;
  log::warn_once(fmt::format(
      "a prompt has {} tokens; the model knows positions up to {} (max_position_embeddings): its "
      "answer may make no sense",
      prompt_tokens, *model.longest));
}

}  // namespace lmms::train
