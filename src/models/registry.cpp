#include "models/registry.h"

#include <array>
#include <vector>

#include "core/error.h"
#include "core/nearest.h"

namespace lmms::models {

#define LMMS_MODEL(name) \
  namespace name {       \
  ModelEntry entry();    \
  }
#include "models/models.def"
#undef LMMS_MODEL

std::span<const ModelEntry> all_models() {
  static const std::array list = {
#define LMMS_MODEL(name) name::entry(),
#include "models/models.def"
#undef LMMS_MODEL
  };
  return list;
}

std::string_view general_type(const ModelEntry& entry) {
  // The classes of transformers are named after the head that their auto class is of.
  return std::string_view(entry.architecture).ends_with("ForCausalLM") ? "causal_lm"
                                                                       : "image_text_to_text";
}

const ModelEntry& model_entry(const nlohmann::json& config, const std::string& where) {
  const auto found = config.find("model_type");
  if (found == config.end() || !found->is_string()) {
    throw Error(where, "no model_type in the model's config",
                "name one: `lmms list` shows them all");
  }
  const auto quantized = config.find("quantization_config");
  if (quantized != config.end() && !quantized->is_null()) {
    throw Error(where, "quantization_config: not built: quantised weights",
                "take the checkpoint in bf16, fp16 or fp32");
  }
  const auto type = found->get<std::string>();
  std::vector<std::string> names;
  for (const ModelEntry& entry : all_models()) {
    if (type == entry.model_type) return entry;
    names.emplace_back(entry.model_type);
  }
  const auto near = nearest_name(type, names);
  throw Error(
      where,
      "not built yet: model_type '" + type + "'" + (near ? "; did you mean '" + *near + "'?" : ""),
      "`lmms list` shows the models that can be trained");
}

}  // namespace lmms::models
