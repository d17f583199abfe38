#include "generate/inference.h"

#include <algorithm>

#include "checkpoint/checkpoint_dir.h"
#include "checkpoint/hf_folder.h"
#include "core/error.h"
#include "core/format.h"
#include "core/log.h"
#include "models/processor_entry.h"
#include "step/load_network.h"
#include "text/chat_template.h"

namespace lmms::generate {

namespace fs = std::filesystem;

namespace {

// The processor that a config would name to train this model further.
std::shared_ptr<const data::Processor> processor_of(const models::ModelRegistry& models,
                                                    const models::Model& model,
                                                    const text::Tokenizer& tokenizer,
                                                    const fs::path& folder,
                                                    const PromptingOptions& options) {
  const models::ProcessorEntry& own =
      models::model_entry(models, model.config(), folder.string()).processor();
  const models::ProcessorEntry& entry =
      options.form == PromptForm::plain ? models::plain_text_processor() : own;
  models::check_image_token(entry, own, model, tokenizer, folder.string(),
                            "use the tokenizer that belongs to the model");
  auto processor = entry.make({.tokenizer = tokenizer,
                               .folder = folder,
                               .model = model.config(),
                               .system = options.system});
  // A layout of ChatML is the same for every model that has it; another is the family's reading of
  // the template beside the tokenizer, so that where the two differ is said here as in training.
  const text::ChatTemplate* chat = processor->chat_template();
  if (chat != nullptr && (chat->own() != nullptr || !chat->layout().is_chatml()))
    models::notice_chat_template(entry, *processor, tokenizer);
  return processor;
}

// Whether there are texts, all with masks in them.
bool fill_in(const std::vector<std::string>& texts, const std::string& mask) {
  return !texts.empty() && std::ranges::all_of(texts, [&](const std::string& text) {
    return text.find(mask) != std::string::npos;
  });
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

InferenceModel open_model(const models::ModelRegistry& models, const std::string& name,
                          const fs::path& hub_cache, const InferenceOptions& options) {
  const fs::path folder = locate_model(name, hub_cache);
  const checkpoint::HfFolder hf = checkpoint::HfFolder::open(folder).take();
  if (!models::model_entry(models, hf.config(), folder.string()).processor().needs_tokenizer) {
    throw Error(folder.string(), "the model makes images: it does not write text",
                "lmms sample lets it make some");
  }
  text::Tokenizer tokenizer = text::Tokenizer::load(folder).take();
  const c10::Device device = kernels::open_device(options.device);
  step::Network network = step::load_network(models, folder, options.dtype, device);
  if (network.model->language_model() == nullptr)
    throw Error(folder.string(), "the model has no language head: it does not write text");
  // the model's: a family adds what its own config.json leaves unsaid
  const nlohmann::json& config = network.model->config();
  const auto unmasking = unmasking_of(config, (folder / "config.json").string());
  PromptingOptions form = options.prompting;
  if (unmasking && fill_in(options.texts, mask_text(tokenizer, unmasking->mask_id)))
    form.form = PromptForm::plain;
  Prompting prompting(processor_of(models, *network.model, tokenizer, folder, form), tokenizer,
                      config, hf.generation_config(), form.form);
  return {folder,
          device,
          std::move(network),
          hf.generation_config(),
          std::move(prompting),
          step::known_positions(hf.config()),
          unmasking,
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

}  // namespace lmms::generate
