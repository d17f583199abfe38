#pragma once
/// Model types by name: what a family brings.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/registry.h"
#include "models/model.h"
#include "models/processor_entry.h"

namespace lmms::models {

struct ModelEntry {
  const char* model_type;    ///< of config.json
  const char* architecture;  ///< the class in transformers, "Qwen3ForCausalLM"
  const char* summary;       ///< one line for `lmms list`
  /// Makes the structure, without memory. `where` names the source of the config in errors. Throws
  /// Error.
  std::unique_ptr<Model> (*make)(const nlohmann::json& config, const std::string& where);
  /// The processor of its chats: what lays out its prompts.
  const ProcessorEntry& (*processor)();
};

/// By model_type.
using ModelRegistry = Registry<ModelEntry>;

/// Adds every model of models.def, in its order.
void register_models(ModelRegistry& registry);
/// Adds the processors of plain text and of chats, and those that the models bring, each once.
void register_processors(ProcessorRegistry& registry, const ModelRegistry& models);

/// `model_general_type` of the head that the model has: causal_lm, masked_lm or image_text_to_text;
/// general: none of these.
std::string_view general_type(const ModelEntry& entry);
/// The entry of config["model_type"]; throws Error naming the nearest known type, and for quantised
/// weights, which no family reads.
const ModelEntry& model_entry(const ModelRegistry& registry, const nlohmann::json& config,
                              const std::string& where);

}  // namespace lmms::models
