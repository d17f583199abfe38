#pragma once
/// For tests: the models that the program itself brings, without a registry of one's own.
#include "models/registry.h"

namespace lmms::models {

inline const ModelRegistry& built_in_models() {
  static const ModelRegistry registry = [] {
    ModelRegistry made("model_type");
    register_models(made);
    return made;
  }();
  return registry;
}

/// The entry of config["model_type"] among built_in_models().
inline const ModelEntry& model_entry(const nlohmann::json& config, const std::string& where) {
  return model_entry(built_in_models(), config, where);
}

}  // namespace lmms::models
