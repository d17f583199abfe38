// dataset records to samples of a SiT: processor_type sit.
#include "models/sit/processor.h"

#include <charconv>

#include "checkpoint/hf_folder.h"
#include "checkpoint/json_file.h"
#include "core/format.h"
#include "data/class_image_processor.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/config_reader.h"
#include "models/sit/config.h"

namespace lmms::models::sit {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhere = "config.json";

/// config.json of an autoencoder by its folder or name. Throws Error.
autoencoder_kl::Config read_autoencoder(const std::string& name, const fs::path& hub_cache) {
  fs::path folder = checkpoint::locate_checkpoint(name, hub_cache).take();
  std::error_code none;
  if (!fs::exists(folder / kWhere, none) && fs::exists(folder / "vae" / kWhere, none))
    folder /= "vae";
  const nlohmann::json config = checkpoint::read_json_object(folder / kWhere).take();
  return autoencoder_kl::read_config(ConfigReader(config, (folder / kWhere).string()));
}

/// An argument by name, if it is given and not null.
const config::Value* given(const ProcessorSetup& setup, const char* key) {
  const config::Value* value = setup.data_kwargs.find(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

void read_text(const ProcessorSetup& setup, const char* key, std::string& out) {
  const config::Value* value = given(setup, key);
  if (value == nullptr) return;
  const std::string* text = std::get_if<std::string>(&value->data);
  if (text == nullptr || text->empty())
    throw Error(setup.data_kwargs_where, fmt::format("{}: expected the name of a column", key));
  out = *text;
}

/// Names of classes in id2label, by number: {"0": "tench"}.
std::map<std::string, int64_t> class_names(const nlohmann::json& model) {
  std::map<std::string, int64_t> out;
  const auto names = model.find("id2label");
  if (names == model.end() || !names->is_object()) return out;
  for (const auto& [id, name] : names->items()) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
    if (error == std::errc() && end == id.data() + id.size() && name.is_string())
      out[name.get<std::string>()] = number;
  }
  return out;
}

std::shared_ptr<const data::Processor> make_processor(const ProcessorSetup& setup) {
  if (setup.model.value("model_type", nlohmann::json()) != "sit") {
    throw Error(setup.type_where, "sit makes samples for a model of the type sit",
                "set model_type: sit, or take the processor of the model");
  }
  const Config model = read_config(ConfigReader(setup.model, kWhere));
  data::ClassImageOptions options;
  options.channels = model.latent.channels;
  options.height = model.latent.height;
  options.width = model.latent.width;
  options.patch = model.latent.patch;
  options.classes = model.classes;
  options.apply_exif = !setup.compat.exif;
  options.measure_pixels = setup.measure_pixels;
  options.class_names = class_names(setup.model);
  read_text(setup, "image_column", options.image_column);
  read_text(setup, "label_column", options.label_column);
  if (model.autoencoder_path.empty()) {
    if (options.channels != 1 && options.channels != 3) {
      throw Error(setup.type_where,
                  fmt::format("a model of {} channels without an autoencoder takes no images",
                              options.channels),
                  "set in_channels: 3 (or 1, grey), or vae_path, in the model's config");
    }
    return std::make_shared<data::ClassImageProcessor>(std::move(options));
  }
  try {
    const autoencoder_kl::Config vae = read_autoencoder(model.autoencoder_path, setup.hub_cache);
    options.stride = vae.stride();
  } catch (const Error& e) {
    // A latent cache does without.
    options.no_images = Fault{"",
                              fmt::format("an image, and the autoencoder of vae_path that "
                                          "would encode it cannot be read: {}",
                                          e.what()),
                              "correct vae_path, or train on the folder of lmms cache-latents"};
  }
  return std::make_shared<data::ClassImageProcessor>(std::move(options));
}

}  // namespace

const ProcessorEntry& class_image_processor() {
  static constexpr ProcessorEntry entry{.processor_type = "sit",
                                        .make = make_processor,
                                        .needs_tokenizer = false,
                                        .reads_model = true};
  return entry;
}

}  // namespace lmms::models::sit
