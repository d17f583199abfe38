#pragma once
/// `model_config`: which model is trained and where its weights come from.
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config/names.h"
#include "core/config/value.h"

namespace lmms::config {
class Fields;
}

namespace lmms::models {

/// `monkey_patch_kwargs`: which patches the model gets. `liger` and `rmpad` name fused kernels,
/// which are the default here.
struct PatchConfig {
  std::vector<std::string> patch_type;          ///< of patches.def
  std::map<std::string, config::Value> layout;  ///< arguments that choose kernels only

  bool operator==(const PatchConfig&) const = default;
};

struct ModelConfig {
  std::optional<std::string> load_from_pretrained_path;  ///< folder of a Hugging Face checkpoint
  config::Value load_from_config;  ///< a map with model_type: random weights by Hugging Face's
                                   ///< laws; null if absent
  std::optional<std::string> model_general_type;  ///< causal_lm; absent: from the model type
  config::Value overwrite_config;  ///< a map: fields of config.json replaced before the model is
                                   ///< made; null if absent
  PatchConfig monkey_patch_kwargs;
  std::map<std::string, config::Value> layout;       ///< attn_implementation
  config::Value extra_kwargs{config::Value::Map{}};  ///< a map

  bool operator==(const ModelConfig&) const = default;
};

/// The names in patches.def, in their order.
std::span<const config::Name> patch_names();

void fields(config::Fields& f, PatchConfig& c);
void fields(config::Fields& f, ModelConfig& c);

}  // namespace lmms::models
