#include "train/data_setup.h"

#include "checkpoint/hf_folder.h"
#include "core/log.h"
#include "data/mixture.h"
#include "train/model_setup.h"
#include "train/registries.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

data::DatasetFactory dataset_factory(const LoadedConfig& loaded) {
  return loaded.registries->datasets
      .at(loaded.config.dataset.dataset_type, loaded.where("dataset_config.dataset_type"))
      .open;
}

models::ProcessorSetup processor_setup(const LoadedConfig& loaded,
                                       const std::optional<text::Tokenizer>& tokenizer,
                                       const fs::path& folder, const nlohmann::json& model,
                                       const std::optional<std::string>& system,
                                       const fs::path& hub_cache) {
  const data::DataConfig& c = loaded.config.dataset;
  const Compat& compat = loaded.config.compat;
  return {.tokenizer = tokenizer,
          .folder = folder,
          .model = model,
          .hub_cache = hub_cache,
          .extra_kwargs = c.processor.extra_kwargs,
          .data_kwargs = c.extra_kwargs,
          .video = c.video,
          .compat = {.labels = compat.labels, .exif = compat.exif, .tiles = compat.tiles},
          .measure_pixels = c.on_bad_sample == data::OnBadSample::skip,
          .system = system,
          .type_where = loaded.where("dataset_config.processor_config.processor_type"),
          .kwargs_where = loaded.where("dataset_config.processor_config.extra_kwargs"),
          .data_kwargs_where = loaded.where("dataset_config.extra_kwargs")};
}

}  // namespace

const models::ProcessorEntry& processor_entry(const LoadedConfig& loaded) {
  return loaded.registries->processors.at(
      loaded.config.dataset.processor.processor_type,
      loaded.where("dataset_config.processor_config.processor_type"));
}

std::shared_ptr<const data::Processor> make_processor(
    const LoadedConfig& loaded, const std::optional<text::Tokenizer>& tokenizer,
    const fs::path& folder, const nlohmann::json& model, const std::optional<std::string>& system,
    const fs::path& hub_cache) {
  return processor_entry(loaded).make(
      processor_setup(loaded, tokenizer, folder, model, system, hub_cache));
}

void check_images(const models::Model& model, const std::optional<text::Tokenizer>& tokenizer,
                  const LoadedConfig& loaded) {
  const std::string where = loaded.where("dataset_config.processor_config.processor_type");
  const models::ProcessorEntry& own =
      models::model_entry(loaded.registries->models, model.config(), where).processor();
  models::check_image_token(processor_entry(loaded), own, model, tokenizer, where);
}

data::Policies training_policies(const data::DataConfig& c) {
  data::Policies policies{.on_bad_sample = c.on_bad_sample,
                          .on_overlong = c.overlong(),
                          .max_length = c.length_limit().value_or(0)};
  if (c.packing && c.packing_patches) policies.max_media[kVision].patches = *c.packing_patches;
  return policies;
}

data::Policies evaluation_policies(const data::DataConfig& c) {
  data::Policies policies = training_policies(c);
  policies.max_length = c.max_length.value_or(0);
  policies.max_media = {};
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
  const models::ProcessorEntry& entry = processor_entry(loaded);
  if (folder.empty() && entry.needs_tokenizer) {
    throw Error(loaded.where("dataset_config.processor_config"),
                "no tokenizer: the model is made from its config and has none",
                "set processor_name to a folder with tokenizer.json");
  }
  std::optional<text::Tokenizer> tokenizer;
  if (entry.needs_tokenizer) {
    tokenizer = text::Tokenizer::load(folder).take();
  } else {
    folder.clear();
  }
  nlohmann::json model;
  if (entry.image_token != nullptr || entry.reads_model)
    model = model_config(loaded, model_folder, hub_cache);
  auto processor = make_processor(loaded, tokenizer, folder, model, {}, hub_cache);
  if (tokenizer) models::notice_chat_template(entry, *processor, *tokenizer);
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
    options.extra_kwargs = c.extra_kwargs;
    options.shuffle = false;
    out.dataset = dataset_factory(loaded)(options).take();
  }
  data::LoaderOptions& o = out.options;
  o.policies = evaluation_policies(c);
  o.global_rows = o.rows_per_micro_step = args.per_device_eval_batch_size;
  o.epochs = 1;
  o.threads = static_cast<int>(args.dataloader_num_workers);
  o.steps_ahead = 0;  // a forward is quick: every thread decodes
  o.end_if_all_skipped = false;
  o.pad_id = processing.pad_id();
  return out;
}

RunData open_data(const LoadedConfig& loaded, const fs::path& model_folder,
                  const fs::path& hub_cache) {
  const data::DataConfig& c = loaded.config.dataset;
  RunProcessor processing = open_processor(loaded, model_folder, hub_cache);
  data::DatasetOptions options;
  options.sources = data::sources_of(c).take();
  options.extra_kwargs = c.extra_kwargs;
  options.shuffle = c.shuffle;
  options.seed = static_cast<uint64_t>(loaded.config.trainer.data_seed.value_or(c.data_seed));
  std::shared_ptr<const data::Dataset> training = dataset_factory(loaded)(options).take();
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
    if (c.packing_patches) o.packing->media[kVision].patches = *c.packing_patches;
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
