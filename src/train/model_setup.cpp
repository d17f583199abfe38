#include "train/model_setup.h"

#include "checkpoint/hf_folder.h"
#include "core/config/value_json.h"
#include "core/format.h"
#include "core/log.h"
#include "models/config_reader.h"
#include "models/overwrite.h"
#include "models/registry.h"
#include "models/structure.h"
#include "objectives/objective.h"
#include "step/load_network.h"
#include "train/kernel_patches.h"
#include "train/registries.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

struct RawModel {
  nlohmann::json config;
  fs::path folder;
  std::string where;
};

constexpr const char* kOverwrite = "model_config.overwrite_config";

nlohmann::json overwrite_of(const LoadedConfig& loaded) {
  const config::Value& overwrite = loaded.config.model.overwrite_config;
  if (overwrite.map() == nullptr) return nlohmann::json::object();
  return config::to_json(overwrite);
}

RawModel overwritten(RawModel raw, const LoadedConfig& loaded) {
  raw.config =
      models::overwritten(std::move(raw.config), overwrite_of(loaded), loaded.where(kOverwrite));
  return raw;
}

RawModel read_folder(const fs::path& folder) {
  return {checkpoint::HfFolder::open(folder).take().config(), folder,
          (folder / "config.json").string()};
}

// Weights that are not there, or broken, are the loading's to report.
std::unique_ptr<models::Model> make_structure(const RawModel& raw,
                                              const models::ModelRegistry& models) {
  std::optional<checkpoint::TensorIndex> weights;
  if (!raw.folder.empty()) {
    auto found = checkpoint::HfFolder::open(raw.folder).take().weights();
    if (found) weights = std::move(found).take();
  }
  return models::make_structure(models, raw.config, raw.where, weights ? &*weights : nullptr);
}

std::unique_ptr<models::Model> make_structure(const RawModel& raw, const LoadedConfig& loaded) {
  std::unique_ptr<models::Model> model = make_structure(raw, loaded.registries->models);
  models::check_overwrite(overwrite_of(loaded), *model, loaded.where(kOverwrite));
  if (raw.folder.empty()) {  // the user wrote the whole of it, perhaps with keys of older releases
    for (const models::KeyFault& fault : models::key_faults(raw.config, *model))
      if (fault.unknown) log::warn_once(raw.where + ": " + fault.text);
  }
  return model;
}

/// Under overwrite_config.
RawModel read_model_config(const LoadedConfig& loaded, const fs::path& hub_cache) {
  const models::ModelConfig& c = loaded.config.model;
  if (c.load_from_pretrained_path) {
    const std::string where = loaded.where("model_config.load_from_pretrained_path");
    auto found = checkpoint::locate_checkpoint(*c.load_from_pretrained_path, hub_cache);
    if (!found) throw Error(where, found.fault().text());
    return overwritten(read_folder(std::move(found).take()), loaded);
  }
  // {model_type: x, config: {...}}, or the two levels in one
  nlohmann::json config = config::to_json(c.load_from_config);
  if (config.contains("config") && config["config"].is_object()) {
    nlohmann::json inner = config["config"];
    if (config.contains("model_type")) inner["model_type"] = config["model_type"];
    config = std::move(inner);
  }
  return overwritten({std::move(config), {}, loaded.where("model_config.load_from_config")},
                     loaded);
}

/// What `make` makes of a model's config; a fault in it is told where the key stands: in
/// overwrite_config, in load_from_config, or in the checkpoint's file.
template <class Make>
auto with_places(const LoadedConfig& loaded, const RawModel& raw, const Make& make) {
  try {
    return make();
  } catch (const models::ConfigFault& fault) {
    const std::string in_overwrite = fmt::format("{}.{}", kOverwrite, fault.path());
    if (loaded.given_at.contains(in_overwrite)) throw fault.stated_at(loaded.where(in_overwrite));
    for (const char* section :
         {"model_config.load_from_config.config", "model_config.load_from_config"}) {
      const std::string key = fmt::format("{}.{}", section, fault.path());
      if (loaded.given_at.contains(key)) throw fault.stated_at(loaded.where(key));
    }
    if (raw.folder.empty()) throw;
    throw fault.in_file(raw.where);
  }
}

/// Throws Error if model_general_type asks for a head that the model has not.
void check_general_type(const LoadedConfig& loaded, const models::ModelEntry& entry) {
  const auto& asked = loaded.config.model.model_general_type;
  const std::string_view has = models::general_type(entry);
  if (!asked || *asked == "general" || *asked == has) return;
  throw Error(loaded.where("model_config.model_general_type"),
              fmt::format("got '{}', and {} has no such head", *asked, entry.model_type),
              fmt::format("set it to {}, or leave it out", has));
}

}  // namespace

nlohmann::json model_config(const LoadedConfig& loaded, const fs::path& folder,
                            const fs::path& hub_cache) {
  if (folder.empty()) return read_model_config(loaded, hub_cache).config;
  return overwritten(read_folder(folder), loaded).config;
}

ModelSource make_model(const LoadedConfig& loaded, const Place& place) {
  const RawModel raw = read_model_config(loaded, place.hub_cache);
  ModelSource source = with_places(loaded, raw, [&] {
    check_general_type(loaded,
                       models::model_entry(loaded.registries->models, raw.config, raw.where));
    return ModelSource{make_structure(raw, loaded), raw.folder};
  });
  patch_structure(loaded, *source.model);
  return source;
}

step::NetworkOptions network_options(const LoadedConfig& loaded, int64_t micro_steps,
                                     c10::Device device) {
  const TrainerArgs& args = loaded.config.trainer;
  step::NetworkOptions options;
  options.name = objectives::kMainNetwork;
  options.freeze_modules = args.freeze_modules;
  options.memory.device = device;
  options.memory.dtype = args.bf16 ? at::kBFloat16 : at::kFloat;
  options.memory.gradient_dtype = args.bf16 && micro_steps == 1 ? at::kBFloat16 : at::kFloat;
  options.memory.masters = args.master_weights;
  options.optimizer = args.optimizer;
  options.make_optimizer =
      loaded.registries->optimizers.at(args.optimizer.optim, loaded.where("trainer_args.optim"));
  options.decay_everything = loaded.config.compat.decay;
  options.ema = args.ema;
  options.seed = static_cast<uint64_t>(args.seed);
  options.where = {loaded.where("trainer_args.freeze_modules"),
                   loaded.where("trainer_args.learning_rates"),
                   loaded.where("trainer_args.ema_param_filter")};
  return options;
}

step::ConfigOverwrite config_overwrite(const LoadedConfig& loaded) {
  return {overwrite_of(loaded), loaded.where(kOverwrite)};
}

}  // namespace lmms::train
