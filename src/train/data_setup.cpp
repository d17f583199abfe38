#include "train/data_setup.h"

#include "checkpoint/hf_folder.h"
#include "core/log.h"
#include "data/chat_processor.h"
#include "data/mixture.h"
#include "data/vision_chat_processor.h"
#include "train/media_setup.h"
#include "train/model_setup.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

// Says so where turns are not written as the template beside the tokenizer has them.
void notice_other_template(const text::Tokenizer& tokenizer) {
  const auto& jinja = tokenizer.chat_template();
  if (!jinja || jinja->find("<image>") != std::string::npos) return;
  log::notice(
      "the chat template beside the tokenizer knows no <image>: turns are written as "
      "LLaVA-OneVision's checkpoints have them (<|im_start|>user <image>\\n...<|im_end|>)");
}

// Notices how the checkpoint's own template departs from what is trained.
void compare_templates(const text::Tokenizer& tokenizer) {
  if (!tokenizer.chat_template()) return;
  if (const auto difference = text::describe_template_difference(*tokenizer.chat_template()))
    log::notice(*difference);
}

}  // namespace

std::shared_ptr<const data::Processor> make_processor(const LoadedConfig& loaded,
                                                      const text::Tokenizer& tokenizer,
                                                      const fs::path& folder,
                                                      const nlohmann::json& model,
                                                      const std::optional<std::string>& system) {
  const data::ProcessorConfig& c = loaded.config.dataset.processor;
  const config::Value* eos = c.extra_kwargs.find("append_eos");
  if (c.processor_type == "pure_text") {
    const bool append =
        eos != nullptr && std::holds_alternative<bool>(eos->data) && std::get<bool>(eos->data);
    return std::make_shared<data::PlainTextProcessor>(tokenizer, append);
  }
  text::ChatOptions options;
  options.labels =
      loaded.config.compat.labels ? text::LabelForm::lmms_engine : text::LabelForm::assistant;
  options.media = c.takes_images();
  if (c.processor_type == "llava") {
    options.layout = text::llava_layout(tokenizer.chat_template().value_or(""));
    options.layout.default_system = system.has_value();
  }
  if (system) options.system = *system;
  options.tools = text::tool_layout(tokenizer.chat_template().value_or(""));
  text::ChatTemplate chat = text::ChatTemplate::create(tokenizer, options).take();
  if (!options.media) return std::make_shared<data::ChatProcessor>(std::move(chat));
  return std::make_shared<data::VisionChatProcessor>(
      std::move(chat), make_media_format(loaded, tokenizer, folder, model),
      loaded.config.dataset.on_bad_sample == data::OnBadSample::skip);
}

data::Policies training_policies(const data::DataConfig& c) {
  return {.on_bad_sample = c.on_bad_sample,
          .on_overlong = c.overlong(),
          .max_length = c.length_limit().value_or(0),
          .max_patches = c.packing ? c.packing_patches.value_or(0) : 0};
}

data::Policies evaluation_policies(const data::DataConfig& c) {
  data::Policies policies = training_policies(c);
  policies.max_length = c.max_length.value_or(0);
  policies.max_patches = 0;
  return policies;
}

RunProcessor open_processor(const LoadedConfig& loaded, const fs::path& model_folder,
                            const fs::path& hub_cache) {
  const data::DataConfig& c = loaded.config.dataset;
  fs::path folder = model_folder;
  if (!c.processor.processor_name.empty()) {
    auto found = checkpoint::locate_checkpoint(c.processor.processor_name, hub_cache);
    if (!found)
      throw Error(loaded.where("dataset_config.processor_config.processor_name"),
                  found.fault().text());
    folder = std::move(found).take();
  }
  if (folder.empty()) {
    throw Error(loaded.where("dataset_config.processor_config"),
                "no tokenizer: the model is made from its config and has none",
                "set processor_name to a folder with tokenizer.json");
  }
  text::Tokenizer tokenizer = text::Tokenizer::load(folder).take();
  if (c.processor.processor_type == "llava") {
    notice_other_template(tokenizer);
  } else if (c.processor.processor_type != "pure_text") {
    compare_templates(tokenizer);
  }
  nlohmann::json model;
  if (c.processor.takes_images()) model = model_config(loaded, model_folder, hub_cache);
  auto processor = make_processor(loaded, tokenizer, folder, model);
  return {std::move(processor), std::move(tokenizer), std::move(folder)};
}

EvaluationData open_evaluation(const LoadedConfig& loaded, const RunProcessor& processing) {
  const data::DataConfig& c = loaded.config.dataset;
  const TrainerArgs& args = loaded.config.trainer;
  EvaluationData out;
  out.processor = processing.processor;
  out.where = loaded.where("dataset_config.eval_dataset_path");
  if (c.eval_dataset_path) {
    data::DatasetOptions options;
    options.sources = data::sources_of(c, c.eval_dataset_path).take();
    options.shuffle = false;
    out.dataset = data::Dataset::open(options).take();
  }
  data::LoaderOptions& o = out.options;
  o.policies = evaluation_policies(c);
  o.global_rows = o.rows_per_micro_step = args.per_device_eval_batch_size;
  o.epochs = 1;
  o.threads = static_cast<int>(args.dataloader_num_workers);
  o.steps_ahead = 0;  // a forward is quick: every thread decodes
  o.end_if_all_skipped = false;
  o.pad_id = processing.tokenizer.pad().value_or(0);
  return out;
}

RunData open_data(const LoadedConfig& loaded, const fs::path& model_folder,
                  const fs::path& hub_cache) {
  const data::DataConfig& c = loaded.config.dataset;
  RunProcessor processing = open_processor(loaded, model_folder, hub_cache);
  data::DatasetOptions options;
  options.sources = data::sources_of(c).take();
  options.shuffle = c.shuffle;
  options.seed = static_cast<uint64_t>(loaded.config.trainer.data_seed.value_or(c.data_seed));
  std::shared_ptr<const data::Dataset> training = data::Dataset::open(options).take();
  EvaluationData evaluation = open_evaluation(loaded, processing);
  return {std::move(training), std::move(evaluation), std::move(processing)};
}

data::LoaderOptions loader_options(const TrainConfig& config, int64_t global_rows, int32_t pad_id,
                                   const data::CostModel& costs) {
  const TrainerArgs& args = config.trainer;
  const data::DataConfig& c = config.dataset;
  data::LoaderOptions o;
  if (c.packing) {
    o.packing = data::PackingOptions{};
    o.packing->length = c.packing_length;
    o.packing->strategy = c.packing_strategy;
    o.packing->patches = c.packing_patches.value_or(0);
    o.packing->num_open_bins = static_cast<int>(c.packing_kwargs.num_open_bins);
  }
  o.policies = training_policies(c);
  o.costs = costs;
  o.global_rows = global_rows;
  o.rows_per_micro_step = args.per_device_train_batch_size;
  o.epochs = args.num_train_epochs;
  o.max_steps = args.max_steps;
  o.drop_last = args.dataloader_drop_last;
  o.threads = static_cast<int>(args.dataloader_num_workers);
  o.steps_ahead = args.dataloader_prefetch_factor.value_or(o.steps_ahead);
  o.pad_id = pad_id;
  return o;
}

}  // namespace lmms::train
