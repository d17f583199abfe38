#include "models/structure.h"

#include <filesystem>

#include "checkpoint/hf_folder.h"
#include "core/format.h"
#include "core/log.h"
#include "models/config_reader.h"
#include "models/tensor_io.h"

namespace lmms::models {
namespace {

// Wherever a family looks for it.
nlohmann::json untied(nlohmann::json config) {
  constexpr const char* kKey = "tie_word_embeddings";
  config[kKey] = false;
  const auto text = config.find("text_config");
  if (text != config.end() && text->is_object() && text->contains(kKey)) (*text)[kKey] = false;
  return config;
}

std::unique_ptr<Model> of_config(const ModelRegistry& models, const nlohmann::json& config,
                                 const std::string& where, const checkpoint::TensorIndex* weights) {
  const ModelEntry& entry = model_entry(models, config, where);
  std::unique_ptr<Model> model = entry.make(config, where);
  if (weights == nullptr || !unties_head(model->params(), *weights)) return model;
  log::warn_once(fmt::format(
      "{}: tie_word_embeddings is true, and the files hold a {} that is not the embedding: it is "
      "the head, untied, as in transformers. Checkpoints will say tie_word_embeddings: false",
      where, model->params().head()->name));
  return entry.make(untied(config), where);
}

}  // namespace

std::unique_ptr<Model> make_structure(const ModelRegistry& models, const nlohmann::json& config,
                                      const std::string& where,
                                      const checkpoint::TensorIndex* weights) {
  std::error_code none;
  try {
    return of_config(models, config, where, weights);
  } catch (const ConfigFault& fault) {
    if (std::filesystem::is_regular_file(where, none)) throw fault.in_file(where);
    throw;
  }
}

}  // namespace lmms::models
