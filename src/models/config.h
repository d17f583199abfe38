#pragma once
/// `model_config`: which model is trained and where its weights come from.
#include <optional>
#include <string>

#include "core/config/value.h"

namespace lmms::config {
class Fields;
}

namespace lmms::models {

struct ModelConfig {
  std::optional<std::string> load_from_pretrained_path;  ///< folder of a Hugging Face checkpoint
  config::Value load_from_config;  ///< a map with model_type: random weights by Hugging Face's
                                   ///< laws; null if absent
  std::optional<std::string> model_general_type;  ///< causal_lm; absent: from the model type
  config::Value overwrite_config;  ///< a map: fields of config.json replaced before the model is
                                   ///< made; null if absent
  config::Value extra_kwargs;      ///< a map

  bool operator==(const ModelConfig&) const = default;
};

void fields(config::Fields& f, ModelConfig& c);

}  // namespace lmms::models
