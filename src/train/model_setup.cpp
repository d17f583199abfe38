#include "train/model_setup.h"

#include "checkpoint/hf_folder.h"
#include "core/config/value_json.h"
#include "core/format.h"
#include "core/log.h"
#include "models/registry.h"
#include "models/tensor_io.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

struct RawModel {
  nlohmann::json config;
  fs::path folder;
  std::string where;
};

RawModel read_model_config(const LoadedConfig& loaded, const Place& place) {
  const models::ModelConfig& c = loaded.config.model;
  if (c.load_from_pretrained_path) {
    const std::string where = loaded.where("model_config.load_from_pretrained_path");
    auto found = checkpoint::locate_checkpoint(*c.load_from_pretrained_path, place.hub_cache);
    if (!found) throw Error(where, found.fault().text());
    const fs::path folder = std::move(found).take();
    const checkpoint::HfFolder hf = checkpoint::HfFolder::open(folder).take();
    return {hf.config(), folder, (folder / "config.json").string()};
  }
  // {model_type: x, config: {...}}, or the two levels in one
  nlohmann::json config = config::to_json(c.load_from_config);
  if (config.contains("config") && config["config"].is_object()) {
    nlohmann::json inner = config["config"];
    if (config.contains("model_type")) inner["model_type"] = config["model_type"];
    config = std::move(inner);
  }
  return {std::move(config), {}, loaded.where("model_config.load_from_config")};
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

}  // namespace

ModelSource make_model(const LoadedConfig& loaded, const Place& place) {
  RawModel raw = read_model_config(loaded, place);
  if (const config::Value::Map* overwrite = loaded.config.model.overwrite_config.map()) {
    for (const auto& [key, value] : *overwrite) raw.config[key] = config::to_json(value);
  }
  return {models::model_entry(raw.config, raw.where).make(raw.config, raw.where), raw.folder};
}

Network make_network(ModelSource source, const LoadedConfig& loaded, int64_t micro_steps,
                     c10::Device device, bool load) {
  const TrainerArgs& args = loaded.config.trainer;
  Network network;
  network.model = std::move(source.model);
  nn::ParamTable& params = network.model->params();
  for (const std::string& module : args.freeze_modules)
    params.freeze(module, loaded.where("trainer_args.freeze_modules"));
  if (params.elements(/*trainable_only=*/true) == 0) {
    throw Error(loaded.where("trainer_args.freeze_modules"),
                "every parameter is frozen: nothing would be trained");
  }

  nn::MemoryOptions memory;
  memory.device = device;
  memory.dtype = args.bf16 ? at::kBFloat16 : at::kFloat;
  memory.gradient_dtype = args.bf16 && micro_steps == 1 ? at::kBFloat16 : at::kFloat;
  network.memory = nn::allocate(params, memory);
  if (!load) {
    // a checkpoint fills them
  } else if (source.folder.empty()) {
    nn::initialise(params, network.memory, static_cast<uint64_t>(args.seed));
  } else {
    const checkpoint::HfFolder hf = checkpoint::HfFolder::open(source.folder).take();
    load_weights(network, hf.weights().take(), source.folder);
  }
  network.optimizer = std::make_unique<optim::Adamw>(network.memory.buckets, args.optimizer,
                                                     loaded.config.compat.decay);
  return network;
}

Network load_network(const fs::path& folder, std::optional<at::ScalarType> dtype,
                     c10::Device device) {
  const checkpoint::HfFolder hf = checkpoint::HfFolder::open(folder).take();
  const checkpoint::TensorIndex weights = hf.weights().take();
  const std::string where = (folder / "config.json").string();
  Network network;
  network.model = models::model_entry(hf.config(), where).make(hf.config(), where);
  for (nn::Param& param : network.model->params().all()) param.trainable = false;
  nn::MemoryOptions memory;
  memory.device = device;
  memory.dtype = dtype.value_or(dtype_of(weights, folder));
  network.memory = nn::allocate(network.model->params(), memory);
  load_weights(network, weights, folder);
  return network;
}

}  // namespace lmms::train
