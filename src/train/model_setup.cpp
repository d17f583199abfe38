#include "train/model_setup.h"

#include <algorithm>

#include "checkpoint/hf_folder.h"
#include "core/config/value_json.h"
#include "core/format.h"
#include "core/log.h"
#include "data/llava_media.h"
#include "data/qwen_media.h"
#include "models/overwrite.h"
#include "models/registry.h"
#include "models/structure.h"
#include "models/tensor_io.h"
#include "train/parameter_groups.h"

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
std::unique_ptr<models::Model> make_structure(const RawModel& raw) {
  std::optional<checkpoint::TensorIndex> weights;
  if (!raw.folder.empty()) {
    auto found = checkpoint::HfFolder::open(raw.folder).take().weights();
    if (found) weights = std::move(found).take();
  }
  return models::make_structure(raw.config, raw.where, weights ? &*weights : nullptr);
}

std::unique_ptr<models::Model> make_structure(const RawModel& raw, const LoadedConfig& loaded) {
  std::unique_ptr<models::Model> model = make_structure(raw);
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

/// Throws Error if model_general_type asks for a head that the model has not.
void check_general_type(const LoadedConfig& loaded, const models::ModelEntry& entry) {
  const auto& asked = loaded.config.model.model_general_type;
  const std::string_view has = models::general_type(entry);
  if (!asked || *asked == "general" || *asked == has) return;
  throw Error(loaded.where("model_config.model_general_type"),
              fmt::format("got '{}', and {} has no such head", *asked, entry.model_type),
              fmt::format("set it to {}, or leave it out", has));
}

void load_weights(Network& network, const checkpoint::TensorIndex& weights,
                  const fs::path& folder) {
  const auto unused =
      models::load_weights(network.model->params(), network.memory, weights, folder.string());
  if (unused.empty()) return;
  log::notice(
      fmt::format("{}: {} tensors have no place in the model and are left out, the first is {}",
                  folder.string(), unused.size(), unused.front()));
}

// That of the largest tensor: norms are sometimes wider than the rest.
at::ScalarType dtype_of(const checkpoint::TensorIndex& weights, const fs::path& folder) {
  const checkpoint::TensorView* largest = nullptr;
  for (const auto& [name, view] : weights.tensors()) {
    if (largest == nullptr || view->bytes.size() > largest->bytes.size()) largest = view;
  }
  return models::scalar_type_of(largest->dtype, folder.string());
}

// The trained elements whose names in the checkpoint the filter takes, by bucket.
std::vector<std::vector<optim::Stretch>> followed_stretches(const Network& network,
                                                            const optim::EmaFilter& filter) {
  std::vector<std::vector<optim::Stretch>> out(network.memory.buckets.size());
  for (const TrainedPart& p : trained_parts(network.model->params(), network.memory)) {
    if (!filter.takes(p.part->hub_name)) continue;
    std::vector<optim::Stretch>& list = out[p.bucket];
    if (!list.empty() && list.back().first + list.back().second == p.offset) {
      list.back().second += p.length;
    } else {
      list.emplace_back(p.offset, p.length);
    }
  }
  return out;
}

std::unique_ptr<optim::Ema> make_ema(const Network& network, const LoadedConfig& loaded) {
  const optim::EmaConfig& config = loaded.config.trainer.ema;
  auto followed = followed_stretches(network, config.ema_param_filter);
  if (std::all_of(followed.begin(), followed.end(),
                  [](const auto& list) { return list.empty(); })) {
    throw Error(loaded.where("trainer_args.ema_param_filter"),
                "it takes no weight that is trained: there is nothing to average",
                "names are those of the checkpoint, such as model.layers.0.mlp.down_proj.weight");
  }
  return std::make_unique<optim::Ema>(network.memory.buckets, std::move(followed), config);
}

}  // namespace

nlohmann::json model_config(const LoadedConfig& loaded, const fs::path& folder,
                            const fs::path& hub_cache) {
  if (folder.empty()) return read_model_config(loaded, hub_cache).config;
  return overwritten(read_folder(folder), loaded).config;
}

ModelSource make_model(const LoadedConfig& loaded, const Place& place) {
  const RawModel raw = read_model_config(loaded, place.hub_cache);
  check_general_type(loaded, models::model_entry(raw.config, raw.where));
  return {make_structure(raw, loaded), raw.folder};
}

void refuse_not_finite(const Network& network, const fs::path& where, const std::string& fix) {
  const auto flat = [&](size_t b) { return network.memory.buckets[b].weights(); };
  const nn::ModelMemory& memory = network.memory;
  const auto name = models::first_not_finite(network.model->params(), memory, flat,
                                             memory.buckets.front().weights().scalar_type());
  if (name)
    throw Error(where.string(), *name + " holds a NaN or an infinity: it cannot be trained", fix);
}

void freeze_modules(nn::ParamTable& params, const LoadedConfig& loaded) {
  for (const std::string& module : loaded.config.trainer.freeze_modules)
    params.freeze(module, loaded.where("trainer_args.freeze_modules"));
}

Network make_network(ModelSource source, const LoadedConfig& loaded, int64_t micro_steps,
                     c10::Device device, bool load) {
  const TrainerArgs& args = loaded.config.trainer;
  Network network;
  network.model = std::move(source.model);
  nn::ParamTable& params = network.model->params();
  freeze_modules(params, loaded);
  if (params.elements(/*trainable_only=*/true) == 0) {
    throw Error(loaded.where("trainer_args.freeze_modules"),
                "every parameter is frozen: nothing would be trained");
  }

  nn::MemoryOptions memory;
  memory.device = device;
  memory.dtype = args.bf16 ? at::kBFloat16 : at::kFloat;
  memory.gradient_dtype = args.bf16 && micro_steps == 1 ? at::kBFloat16 : at::kFloat;
  memory.masters = args.master_weights;
  network.memory = nn::allocate(params, memory);
  if (!load) {
    // a checkpoint fills them
  } else if (source.folder.empty()) {
    nn::initialise(params, network.memory, static_cast<uint64_t>(args.seed));
  } else {
    const checkpoint::HfFolder hf = checkpoint::HfFolder::open(source.folder).take();
    load_weights(network, hf.weights().take(), source.folder);
    refuse_not_finite(network, source.folder, "take another copy of the model that you begin with");
  }
  ParameterGroups groups = parameter_groups(params, network.memory, args.optimizer,
                                            loaded.where("trainer_args.learning_rates"));
  network.groups = std::move(groups.groups);
  network.optimizer = std::make_unique<optim::Adamw>(network.memory.buckets, args.optimizer,
                                                     loaded.config.compat.decay, groups.stretches,
                                                     static_cast<uint64_t>(args.seed));
  if (args.ema.ema_enabled) network.ema = make_ema(network, loaded);
  return network;
}

void check_images(const models::Model& model, const text::Tokenizer& tokenizer,
                  const LoadedConfig& loaded) {
  const data::ProcessorConfig& processor = loaded.config.dataset.processor;
  if (!processor.takes_images()) return;
  const std::string where = loaded.where("dataset_config.processor_config.processor_type");
  const std::optional<int32_t> token = model.image_token();
  if (!token) {
    throw Error(where,
                fmt::format("{} reads images, and the model, {}, has no vision tower",
                            processor.processor_type, model.config().value("model_type", "?")),
                "take a model that sees, or processor_type: qwen2");
  }
  const char* pad = processor.processor_type == "llava" ? data::kLlavaImage : data::kImagePad;
  const std::optional<int32_t> of_tokenizer = tokenizer.id(pad);
  if (of_tokenizer != token) {
    throw Error(where,
                fmt::format("the tokenizer's {} is {}, the model's image_token_id {}", pad,
                            of_tokenizer.value_or(-1), *token),
                "use the tokenizer that belongs to the model");
  }
}

Network load_network(const fs::path& folder, std::optional<at::ScalarType> dtype,
                     c10::Device device, const LoadedConfig* overwriting) {
  const checkpoint::TensorIndex weights =
      checkpoint::HfFolder::open(folder).take().weights().take();
  const RawModel raw = read_folder(folder);
  Network network;
  network.model = overwriting != nullptr
                      ? make_structure(overwritten(raw, *overwriting), *overwriting)
                      : make_structure(raw);
  for (nn::Param& param : network.model->params().all()) param.trainable = false;
  nn::MemoryOptions memory;
  memory.device = device;
  memory.dtype = dtype.value_or(dtype_of(weights, folder));
  network.memory = nn::allocate(network.model->params(), memory);
  load_weights(network, weights, folder);
  return network;
}

}  // namespace lmms::train
