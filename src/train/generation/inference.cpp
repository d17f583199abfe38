#include "train/generation/inference.h"

#include "checkpoint/checkpoint_dir.h"
#include "checkpoint/hf_folder.h"
#include "core/error.h"
#include "core/format.h"
#include "core/log.h"
#include "train/data_setup.h"
#include "train/model_setup.h"

namespace lmms::train {

namespace fs = std::filesystem;

namespace {

// The processor that a config would name to train this model further.
std::shared_ptr<const data::Processor> processor_of(const models::Model& model,
                                                    const text::Tokenizer& tokenizer,
                                                    const fs::path& folder,
                                                    const PromptingOptions& options) {
  LoadedConfig loaded;
  data::ProcessorConfig& processor = loaded.config.dataset.processor;
  processor.processor_type = options.form == PromptForm::plain ? "pure_text" : "qwen2";
  if (options.form == PromptForm::chat && model.image_token()) {
    const std::string family = model.config().value("model_type", "");
    processor.processor_type = family == "llava_onevision" ? "llava" : family;
    try {
      check_images(model, tokenizer, loaded);
    } catch (const Error& e) {  // there is no config that it could name
      throw Error(folder.string(), e.fault().what, "use the tokenizer that belongs to the model");
    }
  }
  return make_processor(loaded, tokenizer, folder, model.config(), options.system);
}

}  // namespace

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
  text::Tokenizer tokenizer = text::Tokenizer::load(folder).take();
  const c10::Device device = open_device(options.use_cpu, place);
  Network network = load_network(folder, options.dtype, device);
  if (network.model->language_model() == nullptr)
    throw Error(folder.string(), "the model has no language head: it does not write text");
  Prompting prompting(processor_of(*network.model, tokenizer, folder, options.prompting), tokenizer,
                      hf.config(), hf.generation_config(), options.prompting.form);
  return {folder,
          device,
          std::move(network),
          hf.generation_config(),
          std::move(prompting),
          known_positions(hf.config()),
          options.kernels};
}

data::Sample prompt_of(const InferenceModel& model, const Conversation& conversation) {
  if (!model.sees() && !conversation.media().empty()) {
    throw Error(conversation.origin.text(),
                fmt::format("'{}' is for a model that sees, and {} ({}) takes text alone",
                            conversation.media().front()->source_name(), model.folder.string(),
                            model.network.model->config().value("model_type", "?")),
                "leave it out, or take a model such as Qwen2.5-VL");
  }
  return model.prompting.prompt(conversation);
}

void warn_if_too_long(const InferenceModel& model, const data::Sample& prompt) {
  if (!model.longest || prompt.length() < *model.longest) return;
  log::warn_once(fmt::format(
      "a prompt has {} tokens; the model knows positions up to {} (max_position_embeddings): its "
      "answer may make no sense",
      prompt.length(), *model.longest));
}

}  // namespace lmms::train
