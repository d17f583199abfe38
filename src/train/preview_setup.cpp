#include "train/preview_setup.h"

#include "checkpoint/hf_folder.h"
#include "core/error.h"
#include "core/format.h"
#include "core/log.h"
#include "data/mixture.h"
#include "models/denoiser.h"
#include "step/cost_model.h"
#include "train/data_setup.h"
#include "train/model_setup.h"
#include "train/opening.h"
#include "train/registries.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

/// The folder of the model where the tokenizer is looked for; empty if the config names another
/// place or the model has no folder.
fs::path model_folder(const LoadedConfig& loaded, const fs::path& hub_cache) {
  const auto& model = loaded.config.model.load_from_pretrained_path;
  if (!loaded.config.dataset.processor.processor_name.empty() || !model) return {};
  auto found = checkpoint::locate_checkpoint(*model, hub_cache.string());
  if (!found)
    throw Error(loaded.where("model_config.load_from_pretrained_path"), found.fault().text());
  return std::move(found).take();
}

/// What `balanced` evens; nothing else asks for it, and it alone needs a model.
data::CostModel costs_if_balanced(const LoadedConfig& loaded, const fs::path& hub_cache) {
  const data::DataConfig& c = loaded.config.dataset;
  if (!c.packing || c.packing_strategy != data::PackingStrategy::balanced) return {};
  try {
    return cost_model_of(loaded, hub_cache);
  } catch (const Error& e) {
    log::notice(fmt::format(
        "dataset_config.packing_strategy: balanced evens what the model makes of rows, and here it "
        "evens attention alone, for the model cannot be read: {}",
        e.what()));
    return {};
  }
}

/// Of an objective that draws: samples are shown as it draws them, with what it says of them.
void add_draws(const LoadedConfig& loaded, const fs::path& hub_cache,
               inspect::preview::Input& input) {
  const auto* entry = loaded.registries->objectives.find(loaded.config.trainer_type);
  if (entry == nullptr || !entry->draws) return;
  const ModelSource source = make_model(loaded, {.hub_cache = hub_cache});
  const auto objective =
      make_objective(loaded, *source.model, input.tokenizer ? &*input.tokenizer : nullptr);
  objectives::set_loading(*objective, static_cast<uint64_t>(loaded.config.trainer.seed),
                          input.loader);
  const nlohmann::json keys = objective->checkpoint_config();
  if (keys.contains("mask_token_id")) input.mask_token = keys.at("mask_token_id").get<int32_t>();
  if (const models::Denoiser* denoiser = source.model->denoiser())
    input.denoising = {denoiser->shape(), denoiser->transport().path};
}

std::vector<data::SourceConfig> sources_of(const LoadedConfig& loaded, bool evaluation) {
  const data::DataConfig& c = loaded.config.dataset;
  if (!evaluation) return data::sources_of(c).take();
  if (!c.eval_dataset_path) {
    throw Error(loaded.where("dataset_config.eval_dataset_path"),
                "the config has no evaluation data", "give eval_dataset_path, or leave --eval out");
  }
  return data::sources_of(c, c.eval_dataset_path).take();
}

}  // namespace

data::CostModel cost_model_of(const LoadedConfig& loaded, const fs::path& hub_cache) {
  const ModelSource source = make_model(loaded, {.hub_cache = hub_cache});
  step::freeze_modules(source.model->params(), loaded.config.trainer.freeze_modules,
                       loaded.where("trainer_args.freeze_modules"));
  return step::cost_model_of(*source.model);
}

inspect::preview::Input preview_input(const LoadedConfig& loaded, bool evaluation,
                                      const fs::path& hub_cache) {
  LoadedConfig measuring = loaded;  // broken pixels are found while measuring
  measuring.config.dataset.on_bad_sample = data::OnBadSample::skip;
  RunProcessor made = open_processor(measuring, model_folder(loaded, hub_cache), hub_cache);
  std::vector<data::SourceConfig> sources = sources_of(loaded, evaluation);
  data::LoaderOptions loader = loader_options(loaded.config, /*global_rows=*/1, made.pad_id(),
                                              costs_if_balanced(loaded, hub_cache));
  if (evaluation) {
    loader.packing.reset();
    loader.policies = evaluation_policies(loaded.config.dataset);
  }
  inspect::preview::Input input{loaded.file,
                                loaded.config.dataset,
                                std::move(sources),
                                evaluation,
                                std::move(made.processor),
                                std::move(made.tokenizer),
                                made.tokenizer_folder.string(),
                                std::move(loader)};
  add_draws(loaded, hub_cache, input);
  return input;
}

}  // namespace lmms::train
