#include "train/data_setup.h"

#include "checkpoint/hf_folder.h"
#include "checkpoint/json_file.h"
#include "core/format.h"
#include "core/log.h"
#include "data/chat_processor.h"
#include "data/mixture.h"
#include "data/preprocessor_config.h"
#include "data/qwen_media.h"
#include "data/vision_chat_processor.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

// Of preprocessor_config.json beside the tokenizer, and extra_kwargs over it.
data::QwenMediaOptions qwen_media_options(const LoadedConfig& loaded,
                                          const text::Tokenizer& tokenizer,
                                          const fs::path& folder) {
  data::QwenMediaOptions options;
  const fs::path file = folder / "preprocessor_config.json";
  if (loaded.config.dataset.processor.processor_type == "qwen3_vl") {
    options.patches.patch = 16;
    options.patches.normalisation.mean = options.patches.normalisation.std = {0.5, 0.5, 0.5};
  }
  if (fs::exists(file)) {
    options.patches = data::patch_options_of(checkpoint::read_json_object(file).take(),
                                             file.string(), options.patches)
                          .take();
  }
  const config::Value& kwargs = loaded.config.dataset.processor.extra_kwargs;
  const std::string where = "dataset_config.processor_config.extra_kwargs";
  for (const auto& [key, limit] : {std::pair("image_min_pixels", &options.patches.min_pixels),
                                   std::pair("image_max_pixels", &options.patches.max_pixels)}) {
    const config::Value* given = kwargs.find(key);
    if (given == nullptr || given->is_null()) continue;
    const auto* pixels = std::get_if<int64_t>(&given->data);
    if (pixels == nullptr || *pixels < 1)
      throw Error(loaded.where(where), std::string(key) + ": expected a whole number >= 1");
    *limit = *pixels;
  }
  if (options.patches.min_pixels > options.patches.max_pixels) {
    throw Error(loaded.where(where),
                fmt::format("image_min_pixels {} is above image_max_pixels {}",
                            options.patches.min_pixels, options.patches.max_pixels));
  }
  options.decode.apply_exif = !loaded.config.compat.exif;
  const auto pad = tokenizer.id(data::kImagePad);
  if (!pad) {
    throw Error(folder.string(), fmt::format("the tokenizer has no {}", data::kImagePad),
                "use the tokenizer of a Qwen2.5-VL checkpoint, or processor_type: qwen2");
  }
  options.positions.image_token_id = *pad;
  options.positions.video_token_id = tokenizer.id(data::kVideoPad).value_or(-1);
  options.positions.merge = options.patches.merge;
  return options;
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
  if (system) options.system = *system;
  text::ChatTemplate chat = text::ChatTemplate::create(tokenizer, options).take();
  if (!options.media) return std::make_shared<data::ChatProcessor>(std::move(chat));
  return std::make_shared<data::VisionChatProcessor>(
      std::move(chat),
      std::make_shared<data::QwenMedia>(qwen_media_options(loaded, tokenizer, folder)),
      loaded.config.dataset.on_bad_sample == data::OnBadSample::skip);
}

data::Policies policies_of(const data::DataConfig& c) {
  return {c.on_bad_sample, c.overlong(), c.length_limit().value_or(0)};
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
  if (c.processor.processor_type != "pure_text") compare_templates(tokenizer);
  auto processor = make_processor(loaded, tokenizer, folder);
  return {std::move(processor), std::move(tokenizer), std::move(folder)};
}

EvaluationData open_evaluation(const TrainConfig& config, const text::Tokenizer& tokenizer) {
  const data::DataConfig& c = config.dataset;
  EvaluationData out;
  if (c.eval_dataset_path) {
    data::DatasetOptions options;
    options.sources = data::sources_of(c, c.eval_dataset_path).take();
    options.shuffle = false;
    out.dataset = data::Dataset::open(options).take();
  }
  out.options.policies = policies_of(c);
  out.options.batch_samples = config.trainer.per_device_eval_batch_size;
  out.options.threads = static_cast<int>(config.trainer.dataloader_num_workers);
  out.options.pad_id = tokenizer.pad().value_or(0);
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
  EvaluationData evaluation = open_evaluation(loaded.config, processing.tokenizer);
  return {std::move(training), std::move(evaluation), std::move(processing)};
}

data::LoaderOptions loader_options(const TrainConfig& config, int64_t global_rows, int32_t pad_id) {
  const TrainerArgs& args = config.trainer;
  const data::DataConfig& c = config.dataset;
  data::LoaderOptions o;
  if (c.packing) {
    o.packing = data::PackingOptions{};
    o.packing->length = c.packing_length;
    o.packing->strategy = c.packing_strategy;
    o.packing->num_open_bins = static_cast<int>(c.packing_kwargs.num_open_bins);
  }
  o.policies = policies_of(c);
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
