#include "models/registry.h"

#include "core/config/names.h"
#include "models/config_reader.h"

namespace lmms::models {

#define LMMS_MODEL(name) \
  namespace name {       \
  ModelEntry entry();    \
  }
#include "models/models.def"
#undef LMMS_MODEL

namespace {

// Its line in processor_types.def; empty for that of a plugin.
std::string help_of(std::string_view processor_type) {
  for (const config::Name& name : data::processor_type_names())
    if (name.name == processor_type) return std::string(name.help);
  return "";
}

}  // namespace

void register_models(ModelRegistry& registry) {
  const ModelEntry entries[] = {
#define LMMS_MODEL(name) name::entry(),
#include "models/models.def"
#undef LMMS_MODEL
  };
  for (const ModelEntry& entry : entries) registry.add(entry.model_type, entry.summary, entry);
}

void register_processors(ProcessorRegistry& registry, const ModelRegistry& models) {
  const auto add = [&](const ProcessorEntry& entry, const std::string& origin) {
    const ProcessorEntry* other = registry.find(entry.processor_type);
    if (other != nullptr && other->make == entry.make) return;  // siblings share theirs
    ProcessorEntry added = entry;
    if (const auto form = data::processor_form(entry.processor_type)) added.form = *form;
    registry.add(entry.processor_type, help_of(entry.processor_type), added, origin);
  };
  add(chat_processor(), std::string(kBuiltIn));
  add(plain_text_processor(), std::string(kBuiltIn));
  for (const auto& model : models.entries()) add(model.value.processor(), model.origin);
}

std::string_view general_type(const ModelEntry& entry) {
  // The classes of transformers are named after the head that their auto class is of.
  const std::string_view architecture = entry.architecture;
  if (architecture.ends_with("ForCausalLM")) return "causal_lm";
  if (architecture.ends_with("ForMaskedLM") || architecture == "DreamModel") return "masked_lm";
  return architecture.ends_with("ForConditionalGeneration") ? "image_text_to_text" : "general";
}

const ModelEntry& model_entry(const ModelRegistry& registry, const nlohmann::json& config,
                              const std::string& where) {
  const auto found = config.find("model_type");
  if (found == config.end() || !found->is_string()) {
    const std::string got = found == config.end() ? "is missing" : "got " + found->dump();
    throw ConfigFault(where, "model_type", "model_type",
                      got + "; expected the name of a family of models, such as qwen3",
                      "name one: `lmms list` shows them all");
  }
  const auto quantized = config.find("quantization_config");
  if (quantized != config.end() && !quantized->is_null()) {
    throw ConfigFault(where, "quantization_config", "quantization_config",
                      "not built: quantised weights", "take the checkpoint in bf16, fp16 or fp32");
  }
  const auto type = found->get<std::string>();
  if (const ModelEntry* entry = registry.find(type)) return *entry;
  if (type == "llada") {
    throw ConfigFault(where, "model_type", "model_type",
                      "not built: the released LLaDA, whose tensors have names of their own",
                      "take Dream, or any language model under dllm_trainer (llada_dllm is the "
                      "model of that name of the Python project)");
  }
  const auto near = registry.nearest(type);
  throw ConfigFault(
      where, "model_type", "model_type",
      "not built yet: '" + type + "'" + (near ? "; did you mean '" + *near + "'?" : ""),
      "`lmms list` shows the models that can be trained; for one of a plugin, name the plugin: "
      "plugins: of a config, or --plugin FILE");
}

}  // namespace lmms::models
